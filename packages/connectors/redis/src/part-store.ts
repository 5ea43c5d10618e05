/** What stands about a flow on each part of a clustered target: epoch and checkpoints. */
import { ReplatformError } from '@replatform/core/errors'
import type { Argument } from './command-buffer.ts'
import type { Connection } from './connection.ts'
import type { ControlKeys } from './control-keys.ts'
import type { DeadlineMarks } from './early-deadlines.ts'
import { requireWhole, toMap } from './flow-store.ts'
import type { PartPlace, PartWriter } from './part-writer.ts'
import type { ReplicationPoint } from './psync.ts'
import type { RespValue } from './resp-reader.ts'

export interface PartCheckpoint {
  readonly replid: string
  readonly place: PartPlace
  /** See `Checkpoint`. */
  readonly written: number
  /** Whether deadlines are what they are, not lifted, or were. */
  readonly deadlines: DeadlineMarks
}

/** Null before the full load ended. Throws `redis.apply-refused` where the part is broken. */
export async function readPartCheckpoint(target: Connection, keys: ControlKeys): Promise<PartCheckpoint | null> {
  const fields = toMap(await target.command('HGETALL', keys.checkpoint))
  const replid = fields.get('replid')
  if (replid === undefined) return null
  requireWhole({ broken: fields.get('broken') ?? null })
  return {
    replid,
    place: { offset: Number(fields.get('offset')), step: Number(fields.get('step')) },
    written: Number(fields.get('written')),
    deadlines: {
      isLowered: fields.get('lowered') === '1',
      mayLackKeys: fields.get('lapsed') === '1',
      aheadUntilMs: fields.has('ahead') ? Number(fields.get('ahead')) : null,
    },
  }
}

/** Once they are on all parts the load of a shard is done. */
export async function writeFirstCheckpoint(
  writer: PartWriter,
  { replid, offset }: ReplicationPoint,
  { isLowered }: Pick<DeadlineMarks, 'isLowered'>,
): Promise<void> {
  const { checkpoint } = writer.keys
  const place = ['replid', replid, 'offset', offset, 'step', 0, 'written', offset, 'lowered', isLowered ? 1 : 0]
  const buffer = writer.createBuffer(1024)
  buffer.add(['DEL', checkpoint])
  buffer.add(['HSET', checkpoint, ...place])
  await writer.commit(buffer)
}

/** A key that holds the epoch, and how to ask the server that it lies on. */
export interface PartEpoch {
  readonly epoch: string
  readonly ask: (...command: Argument[]) => Promise<RespValue>
}

const raise = `
local found = tonumber(redis.call('GET', KEYS[1]) or 0)
local wanted = tonumber(ARGV[1])
if ARGV[2] == 'next' then wanted = math.max(found, wanted) + 1 end
if found < wanted then redis.call('SET', KEYS[1], string.format('%.0f', wanted)) end
return math.max(found, wanted)`

/**
 * The first hands out the number, so that no two movers get the same; from the return on no earlier mover gets
 * anything through on any part. Rejects with `epoch.superseded` when another mover was faster on one of them.
 */
export async function raisePartEpochs(parts: readonly PartEpoch[]): Promise<number> {
  const found = await Promise.all(parts.map(({ epoch, ask }) => ask('GET', epoch)))
  const highest = Math.max(...found.map((epoch) => Number(String(epoch ?? 0))))
  const [first, ...others] = parts as [PartEpoch, ...PartEpoch[]]
  const epoch = Number(await first.ask('EVAL', raise, 1, first.epoch, highest, 'next'))
  const reached = await Promise.all(others.map((part) => part.ask('EVAL', raise, 1, part.epoch, epoch, 'this')))
  const newer = reached.map(Number).find((other) => other > epoch)
  if (newer === undefined) return epoch
  throw new ReplatformError('epoch.superseded', { message: `A part of the target is at epoch ${newer} already.` })
}
