/** What stands about a flow on its target: the epoch, the checkpoint, decisions. */
import { invariant, ReplatformError } from '@replatform/core/errors'
import { type Position, position } from '@replatform/core/position'
import type { CommandBuffer } from './command-buffer.ts'
import type { Connection } from './connection.ts'
import type { ControlKeys } from './control-keys.ts'
import type { ReplicationPoint } from './psync.ts'
import type { RespValue } from './resp-reader.ts'

export interface Checkpoint {
  /** The target has everything up to here and nothing beyond. */
  readonly point: ReplicationPoint
  /**
   * Behind the last command that wrote: up to `point` nothing came that matters to data. A server that takes over may
   * share the history up to here only, since what sentinels publish is replicated too.
   */
  readonly written?: number
  /** The database that the stream had selected there. */
  readonly db: number
  /** Deadlines are what they are, not lifted: the target was settled for a cutover. */
  readonly isLowered: boolean
  /** They were for a while: keys may have lapsed that the source had renewed. */
  readonly mayLackKeys?: boolean
  /** By the target's clock: until then none of those that were lowered ahead of a pause has lapsed. */
  readonly aheadUntilMs?: number | null
  /** Why the target no longer agrees with the source, where it was seen. */
  readonly broken: string | null
}

export interface FlowState {
  /** Null where no flow of this move and direction ever began. */
  readonly epoch: number | null
  /** Null before the full load ended. */
  readonly checkpoint: Checkpoint | null
}

/** Database 0 must be selected. */
export async function readFlow(target: Connection, keys: ControlKeys): Promise<FlowState> {
  const epoch = await target.command('GET', keys.epoch)
  const fields = toMap(await target.command('HGETALL', keys.checkpoint))
  return { epoch: epoch === null ? null : Number(String(epoch)), checkpoint: parseCheckpoint(fields) }
}

/** From its return on no writer with an earlier epoch gets anything through. */
export async function raiseEpoch(target: Connection, keys: ControlKeys): Promise<number> {
  await target.command('SELECT', 0)
  return Number(await target.command('INCR', keys.epoch))
}

/** Throws `redis.apply-refused` where an earlier run saw the target refuse something. */
export function requireWhole({ broken }: Pick<Checkpoint, 'broken'>): void {
  if (broken === null) return
  throw new ReplatformError('redis.apply-refused', {
    message: `The target refused a command in an earlier run: ${broken}.`,
  })
}

export function writeCheckpoint(buffer: CommandBuffer, keys: ControlKeys, checkpoint: Checkpoint): void {
  const { point, written = point.offset, db, isLowered } = checkpoint
  const place = ['replid', point.replid, 'offset', point.offset, 'written', written]
  const fields = [...place, 'db', db, 'lowered', isLowered ? 1 : 0]
  buffer.add(['HSET', keys.checkpoint, ...fields])
}

export function formatPoint({ replid, offset }: ReplicationPoint): Position {
  return position(`${replid}:${offset}`)
}

export function parsePoint(text: Position): ReplicationPoint {
  const [replid = '', offset = ''] = text.split(':')
  invariant(/^\d+$/.test(offset), 'A position of Redis is a replication id and an offset.')
  return { replid, offset: Number(offset) }
}

export function toMap(reply: RespValue): Map<string, string> {
  const list = Array.isArray(reply) ? reply : []
  const map = new Map<string, string>()
  for (let i = 0; i + 1 < list.length; i += 2) map.set(String(list[i]), String(list[i + 1]))
  return map
}

function parseCheckpoint(fields: Map<string, string>): Checkpoint | null {
  const replid = fields.get('replid')
  if (replid === undefined) return null
  return {
    point: { replid, offset: Number(fields.get('offset')) },
    written: Number(fields.get('written') ?? fields.get('offset')),
    db: Number(fields.get('db')),
    isLowered: fields.get('lowered') === '1',
    mayLackKeys: fields.get('lapsed') === '1',
    aheadUntilMs: fields.has('ahead') ? Number(fields.get('ahead')) : null,
    broken: fields.get('broken') ?? null,
  }
}
