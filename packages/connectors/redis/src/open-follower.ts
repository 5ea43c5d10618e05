/** Opens what following takes: a link that goes on from the checkpoint, a writer of a new epoch, a follower. */
import { ReplatformError } from '@replatform/core/errors'
import { ChangedKeys, type KeyRecorder, KeyRecorders } from './changed-keys.ts'
import { type Connection, openConnection } from './connection.ts'
import type { ControlKeys } from './control-keys.ts'
import { DatabaseSink } from './database-sink.ts'
import type { Doubt } from './doubtful-keys.ts'
import { hasLapsed, liftAgain } from './early-deadlines.ts'
import { EpochWriter } from './epoch-writer.ts'
import { type Checkpoint, raiseEpoch, readFlow, requireWhole, writeCheckpoint } from './flow-store.ts'
import { Follower } from './follower.ts'
import type { OpenStream } from './full-load.ts'
import { ReplicaLink, type ReplicationPoint } from './psync.ts'
import { canGoOn, readMemory } from './resume-point.ts'
import { readClockOffset } from './server-clock.ts'
import { readOffset, readServer } from './server-info.ts'

export interface OpenFollowerOptions {
  readonly sourceUrl: string
  readonly targetUrl: string
  readonly keys: ControlKeys
  readonly changed: KeyRecorder
  /** Of the load in this process; without it the source is asked for what comes after the checkpoint. */
  readonly stream: OpenStream | null
}

export interface FollowSession extends AsyncDisposable {
  readonly follower: Follower
  readonly epoch: number
  /** What the target may have wrong until it is looked at: see doubtful-keys.ts. */
  readonly doubt: Doubt | null
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
  const { link, from } = options.stream
    ? { link: options.stream.link, from: checkpoint.point.offset }
    : await resume(options.sourceUrl, source, checkpoint)
  opened.use(link)
  const doubt = (await liftAll({ target, keys, epoch }, checkpoint)) ? 'everything' : await doubtLate(options, source)
  // Where this process ends before it has looked, the next one looks at everything.
  if (doubt) await target.command('HSET', keys.checkpoint, 'lapsed', 1)
  const late = doubt && doubt !== 'everything' ? [doubt.late] : []
  const writer = opened.use(new EpochWriter({ target: await open('target'), keys, epoch }))
  const clockOffsetMs = await readClockOffset(source)
  const { replid } = link.start
  // Another server has taken over and gave the history its own name: a barrier will be told by that.
  const isRenamed = replid !== checkpoint.point.replid || from !== checkpoint.point.offset
  if (isRenamed) await renameHistory(writer, keys, { ...checkpoint, point: { replid, offset: from } })
  const sink = new DatabaseSink({
    writer,
    target,
    keys,
    epoch,
    checkpoint,
    replid,
    changed: new KeyRecorders([changed, ...late]),
    clockOffsetMs,
  })
  const first = options.stream?.first ?? null
  const follower = new Follower({ link, first, sink, source, from })
  const all = opened.move()
  return { follower, epoch, doubt, [Symbol.asyncDispose]: () => all.disposeAsync() }
}

/** Whether keys may have lapsed meanwhile, now or in an earlier run that was not seen to its end. */
async function liftAll({ target, keys, epoch }: LiftOptions, checkpoint: Checkpoint): Promise<boolean> {
  const { isLowered, mayLackKeys, aheadUntilMs } = { mayLackKeys: false, aheadUntilMs: null, ...checkpoint }
  const inDoubt = await hasLapsed(target, { isLowered, mayLackKeys, aheadUntilMs })
  if (!isLowered && aheadUntilMs === null) return inDoubt
  // Once all are lifted nobody sees any more what they were.
  if (inDoubt) await target.command('HSET', keys.checkpoint, 'lapsed', 1)
  await liftAgain({ target, keys, epoch, checkpoints: [keys.checkpoint] })
  return inDoubt
}

async function doubtLate({ stream }: OpenFollowerOptions, source: Connection): Promise<Doubt | null> {
  if (stream || (await readServer(source)).major >= 7) return null
  const late = new ChangedKeys()
  late.begin()
  return { until: [await readOffset(source)], late }
}

interface LiftOptions {
  readonly target: Connection
  readonly keys: ControlKeys
  readonly epoch: number
}

async function renameHistory(writer: EpochWriter, keys: ControlKeys, checkpoint: Checkpoint): Promise<void> {
  const buffer = writer.createBuffer(1024)
  writeCheckpoint(buffer, keys, checkpoint)
  await writer.commit(buffer)
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

/** The link, and the place that it goes on from: behind the checkpoint, or behind the last write before it. */
async function resume(url: string, source: Connection, checkpoint: Checkpoint): Promise<Resumed> {
  const { point, written = point.offset } = checkpoint
  const candidates = [point, { ...point, offset: written }]
  const memory = await readMemory(source)
  const after = memory ? candidates.find((candidate) => canGoOn(memory, candidate)) : point
  if (!after) throw tooLate(point)
  const link = await ReplicaLink.open({ url, after })
  if (!link.snapshot) return { link, from: after.offset }
  await link[Symbol.asyncDispose]()
  throw tooLate(point)
}

interface Resumed {
  readonly link: ReplicaLink
  readonly from: number
}

function tooLate({ replid, offset }: ReplicationPoint): ReplatformError {
  return new ReplatformError('redis.resync-required', {
    message: `The source no longer has its replication stream from offset ${offset + 1} on, or has another history.`,
    position: `${replid}:${offset}`,
  })
}
