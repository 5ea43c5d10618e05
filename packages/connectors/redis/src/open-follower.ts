/** Opens what following takes: a link that goes on from the checkpoint, a writer of a new epoch, a follower. */
import { ReplatformError } from '@replatform/core/errors'
import type { ChangedKeys } from './changed-keys.ts'
import { type Connection, openConnection } from './connection.ts'
import type { ControlKeys } from './control-keys.ts'
import { DatabaseSink } from './database-sink.ts'
import { sweepDeadlines } from './deadline-sweep.ts'
import { EpochWriter } from './epoch-writer.ts'
import { type Checkpoint, raiseEpoch, readFlow, requireWhole } from './flow-store.ts'
import { Follower } from './follower.ts'
import type { OpenStream } from './full-load.ts'
import { ReplicaLink } from './psync.ts'
import { readClockOffset } from './server-clock.ts'

export interface OpenFollowerOptions {
  readonly sourceUrl: string
  readonly targetUrl: string
  readonly keys: ControlKeys
  readonly changed: ChangedKeys
  /** Of the load in this process; without it the source is asked for what comes after the checkpoint. */
  readonly stream: OpenStream | null
}

export interface FollowSession extends AsyncDisposable {
  readonly follower: Follower
  readonly epoch: number
}

/** Rejects with `redis.resync-required` where the source no longer has what comes after the checkpoint. */
export async function openFollower(options: OpenFollowerOptions): Promise<FollowSession> {
  await using opened = new AsyncDisposableStack()
  const { keys, changed } = options
  const open = async (side: 'source' | 'target') =>
    opened.use(await openConnection({ url: side === 'source' ? options.sourceUrl : options.targetUrl, side }))
  const [source, target] = [await open('source'), await open('target')]
  const epoch = await raiseEpoch(target, keys)
  const checkpoint = await readCheckpoint(target, keys)
  const link = opened.use(options.stream?.link ?? (await resume(options.sourceUrl, checkpoint)))
  if (checkpoint.isLowered) await sweepDeadlines({ target, keys, epoch }, 'lift')
  const writer = opened.use(new EpochWriter({ target: await open('target'), keys, epoch }))
  const clockOffsetMs = await readClockOffset(source)
  const { replid } = link.start
  const sink = new DatabaseSink({ writer, target, keys, epoch, checkpoint, replid, changed, clockOffsetMs })
  const first = options.stream?.first ?? null
  const follower = new Follower({ link, first, sink, source, from: checkpoint.point.offset })
  const all = opened.move()
  return { follower, epoch, [Symbol.asyncDispose]: () => all.disposeAsync() }
}

async function readCheckpoint(target: Connection, keys: ControlKeys): Promise<Checkpoint> {
  const { checkpoint } = await readFlow(target, keys)
  if (!checkpoint) {
    throw new ReplatformError('redis.resync-required', {
      message: 'The target has no checkpoint of this move: it was never loaded whole, or was emptied by somebody else.',
    })
  }
  requireWhole(checkpoint)
  return checkpoint
}

async function resume(url: string, { point }: Checkpoint): Promise<ReplicaLink> {
  const link = await ReplicaLink.open({ url, after: point })
  if (!link.snapshot) return link
  await link[Symbol.asyncDispose]()
  throw new ReplatformError('redis.resync-required', {
    message: `The source no longer has its replication stream from offset ${point.offset + 1} on.`,
    position: `${point.replid}:${point.offset}`,
  })
}
