/**
 * What payments feel of a cutover of one PostgreSQL database behind PgBouncer that goes over and back in turn: the
 * longest that one of 200 payments a second waits from the instant at which it was due.
 */
import { CliRig } from '@replatform/cli/test-fixtures/cli-rig'
import { WalletServers } from '@replatform/cli/test-fixtures/wallet-servers'
import { pollUntil } from '@replatform/testkit/poll-until'
import { feelCutovers, figuresOf } from './felt-cutovers.ts'
import { PacedPayers } from './paced-payers.ts'
import type { SoakOptions } from './soak.ts'

const move = 'ledger'
const wave = 'relational'
const rate = { perSecond: 200, clients: 20 }

export async function soakPostgresqlPauses(options: SoakOptions): Promise<object> {
  await using servers = await WalletServers.start()
  await using rig = await CliRig.create({ estate: estateOf(servers), env: servers.env })
  await using payers = new PacedPayers({ ...rate, url: servers.url })
  const felt = await feelCutovers(
    {
      rig,
      wave,
      moves: [move],
      paysOn: () => paysOn(payers),
      takeLongestGapMs: () => payers.takeLongestMs(),
      reach: (state) =>
        rig.until(`it is ${state}`, (status) => status.state === state && !status.paused && status.follow !== null),
    },
    options,
  )
  const within = (ms: number) => felt.filter(({ gapMs }) => gapMs <= ms).length
  return { ...figuresOf(felt), 'gaps of at most 500 ms': within(500), 'gaps of at most 300 ms': within(300) }
}

async function paysOn(payers: PacedPayers): Promise<void> {
  const before = payers.acknowledged
  const goOn = () => payers.acknowledged > before + 2 * rate.clients
  await pollUntil('payments go on', goOn, { withinMs: 120_000, everyMs: 100 })
}

function estateOf({ store }: WalletServers): object {
  const gates = { verifiedWithin: '1h', rehearsedWithin: '1h', noOpenIncident: 'severe' }
  const moves = { name: wave, phase: 'rehost', moves: [move], pauseBudget: '20s', gates }
  return { estate: 'wallet', stores: { [move]: store }, waves: [moves] }
}
