import { ReplatformError } from '@replatform/core/errors'
import { durationMs } from '@replatform/core/estate'
import { InvalidArgumentError } from 'commander'
import { type OperationCall, runOperation } from '../operation-verb.ts'
import { changingOptions, type Verb, type VerbOptions } from '../verb.ts'

export const throttle: Verb = {
  name: 'throttle',
  summary: 'say how much a move may ask of both sides',
  description:
    "Takes the place of what was allowed before, at once and for all that runs later; what is left out is not limited. --rate bounds what load and follow write together, 0 stands still. Past --source-sessions sessions of others at work on the source the full load waits. Past --replica-lag of a replica of the target load and follow wait. `status` shows why a move is held. Without this the estate's `limits` hold.",
  example:
    'replatform throttle ledger --rate 20MB --source-sessions 40 --replica-lag 5s\nreplatform throttle ledger --off --reason "night window"',
  exits: ['ok', 'refused', 'usage', 'failed', 'interrupted'],
  configure(command) {
    changingOptions(command)
    command
      .option('--rate <bytes>', 'bytes a second, such as 500kB or 20MB', parseBytes)
      .option('--source-sessions <count>', 'sessions at work on the source', parseCount)
      .option('--replica-lag <duration>', 'lag of replicas of the target, such as 5s', parseLag)
      .option('--off', 'no limits')
  },
  async run(invocation, options, move) {
    const limits = limitsOf(options)
    return runOperation(invocation, { verb: 'throttle', move: invocation.moveNamed(move), options, limits })
  },
}

function limitsOf({ rate, sourceSessions, replicaLag, off }: VerbOptions): OperationCall['limits'] {
  const limits = {
    ...(rate === undefined ? {} : { bytesPerSecond: rate }),
    ...(sourceSessions === undefined ? {} : { sourceSessions }),
    ...(replicaLag === undefined ? {} : { replicaLagMs: replicaLag }),
  }
  if (Object.keys(limits).length > 0 !== Boolean(off)) return limits
  throw new ReplatformError('usage', { message: 'Name at least one limit, or --off, but not both.' })
}

const unitBytes: Readonly<Record<string, number>> = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9 }

function parseBytes(text: string): number {
  const [, amount, unit = 'B'] = /^([0-9]{1,12})(B|kB|MB|GB)?$/.exec(text) ?? []
  if (amount === undefined) throw new InvalidArgumentError('Expected bytes a second, such as 500kB or 20MB.')
  return Number(amount) * (unitBytes[unit] as number)
}

function parseCount(text: string): number {
  if (!/^[0-9]{1,6}$/.test(text)) throw new InvalidArgumentError('Expected a whole number.')
  return Number(text)
}

function parseLag(text: string): number {
  if (!/^[0-9]{1,6}(ms|s|m|h)$/.test(text)) throw new InvalidArgumentError('Expected a duration, such as 5s.')
  return durationMs(text)
}
