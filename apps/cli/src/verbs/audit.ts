import type { AuditVerification } from '@replatform/control/api-types'
import { Argument, InvalidArgumentError } from 'commander'
import type { Exit } from '../exit-codes.ts'
import type { Invocation } from '../invocation.ts'
import { cut } from '../text-cells.ts'
import type { Verb } from '../verb.ts'
import { connect } from '../worker-connection.ts'

const most = 1_000

export const audit: Verb = {
  name: 'audit',
  summary: 'list who asked for what, and verify that list',
  description:
    'Lists the newest entries of the audit log, oldest first: when, who, what, and how it ended. "audit verify" reads all of it and finds entries that were changed, taken out, cut off at the end or reordered: each holds the hash of the one before, and the newest hash stands in a file beside the database.',
  example: 'replatform audit --limit 20\nreplatform audit verify',
  exits: ['ok', 'usage', 'refused', 'unreachable', 'failed'],
  configure(command) {
    command.addArgument(new Argument('[verify]', 'reads the whole log and checks its chain').choices(['verify']))
    command.option('--limit <count>', `number of entries, at most ${most}`, parseLimit, 200)
  },
  async run(invocation, { limit }, what) {
    await using connection = await connect(invocation, { hostsMoves: false })
    if (what === 'verify') return verify(invocation, await connection.client.verifyAudit())
    const entries = await connection.client.audit(limit)
    invocation.result({ entries }, ({ colors, columns }) => {
      const lines = entries.map(({ at, actor, verb, move, outcome, detail }) => {
        const what = `${verb}${move ? ` ${move}` : ''} ${outcome}${detail ? `: ${detail}` : ''}`
        const when = at.slice(0, 19).replace('T', ' ')
        return `${colors.dim(when)}  ${cut(`${actor}  ${what}`, columns - when.length - 2)}`
      })
      return lines.length > 0 ? lines : ['Nobody has asked for anything yet.']
    })
    return 'ok'
  },
}

function verify(invocation: Invocation, verification: AuditVerification): Exit {
  const { intact, entries, unchained, problems } = verification
  invocation.result(verification, () => {
    const earlier = unchained > 0 ? [`${unchained} older entries are not chained: nothing can be said about them.`] : []
    if (intact) return [`The audit log is whole: ${entries} entries, each chained to the one before.`, ...earlier]
    const found = problems.map(({ kind, detail }) => `${kind}: ${detail}`)
    return [`The audit log is not as it was written (${entries} entries):`, ...found, ...earlier]
  })
  return intact ? 'ok' : 'failed'
}

function parseLimit(text: string): number {
  const limit = Number(text)
  if (Number.isInteger(limit) && limit >= 1 && limit <= most) return limit
  throw new InvalidArgumentError(`A whole number from 1 to ${most} is expected.`)
}
