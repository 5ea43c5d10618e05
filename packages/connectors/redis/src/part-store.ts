/** What stands about a flow on each part of a clustered target: epoch and checkpoints. */
import { ReplatformError } from '@replatform/core/errors'
import type { Connection } from './connection.ts'
import type { ControlKeys } from './control-keys.ts'
import { requireWhole, toMap } from './flow-store.ts'
import type { PartPlace, PartWriter } from './part-writer.ts'
import type { ReplicationPoint } from './psync.ts'

export interface PartCheckpoint {
  readonly replid: string
  readonly place: PartPlace
  /** See `Checkpoint`. */
  readonly written: number
  /** Deadlines are what they are, not lifted. */
  readonly isLowered: boolean
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
    isLowered: fields.get('lowered') === '1',
  }
}

/** Once they are on all parts the load of a shard is done. */
export async function writeFirstCheckpoint(
  writer: PartWriter,
  keys: ControlKeys,
  { replid, offset }: ReplicationPoint,
): Promise<void> {
  const buffer = writer.createBuffer(1024)
  buffer.add(['DEL', keys.checkpoint])
  buffer.add(['HSET', keys.checkpoint, 'replid', replid, 'offset', offset, 'step', 0, 'written', offset, 'lowered', 0])
  await writer.commit(buffer)
}

export interface PartEpoch {
  readonly target: Connection
  readonly keys: ControlKeys
}

const raise = `
local found = tonumber(redis.call('GET', KEYS[1]) or 0)
local wanted = tonumber(ARGV[1])
if ARGV[2] == 'next' then wanted = math.max(found, wanted) + 1 end
if found < wanted then redis.call('SET', KEYS[1], string.format('%.0f', wanted)) end
return math.max(found, wanted)`

/**
 * The first part hands out the number, so that no two movers get the same; from the return on no earlier mover gets
 * anything through on any part. Rejects with `epoch.superseded` when another mover was faster on one of them.
 */
export async function raisePartEpochs(parts: readonly PartEpoch[]): Promise<number> {
  const found = await Promise.all(parts.map(({ target, keys }) => target.command('GET', keys.epoch)))
  const highest = Math.max(...found.map((epoch) => Number(String(epoch ?? 0))))
  const [first, ...others] = parts as [PartEpoch, ...PartEpoch[]]
  const epoch = Number(await first.target.command('EVAL', raise, 1, first.keys.epoch, highest, 'next'))
  const reached = await Promise.all(
    others.map(({ target, keys }) => target.command('EVAL', raise, 1, keys.epoch, epoch, 'this')),
  )
  const newer = reached.map(Number).find((other) => other > epoch)
  if (newer === undefined) return epoch
  throw new ReplatformError('epoch.superseded', { message: `A part of the target is at epoch ${newer} already.` })
}
