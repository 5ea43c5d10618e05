/** Follows every shard of the source at once, each from the place that its parts have reached. */
import type { FollowOptions, FollowProgress } from '@replatform/core/connector'
import { ReplatformError } from '@replatform/core/errors'
import { position } from '@replatform/core/position'
import { ChangedKeys, type KeyRecorder, KeyRecorders } from './changed-keys.ts'
import { type Connection, openConnection } from './connection.ts'
import type { Doubt } from './doubtful-keys.ts'
import { hasLapsed, liftAgain } from './early-deadlines.ts'
import { Follower } from './follower.ts'
import type { SlotSet } from './key-slot.ts'
import { type PartCheckpoint, readPartCheckpoint } from './part-store.ts'
import { type PartPlace, PartWriter } from './part-writer.ts'
import { ReplicaLink, type ReplicationPoint } from './psync.ts'
import { canGoOn, isShared, readMemory } from './resume-point.ts'
import { readClockOffset } from './server-clock.ts'
import { readOffset, readServer } from './server-info.ts'
import type { Part, SlotLayout } from './slot-layout.ts'
import type { SlotStream } from './slot-load.ts'
import { SlotSink } from './slot-sink.ts'
import type { Shard } from './topology.ts'

export interface SlotFollowOptions {
  readonly layout: SlotLayout
  /** Raised for this following. */
  readonly epoch: number
  readonly changed: KeyRecorder
  /** Of the load in this process, by shard; a shard without one is asked for what comes after its checkpoint. */
  readonly streams: readonly (SlotStream | undefined)[]
}

export class SlotFollowing implements AsyncDisposable {
  /** By shard of the source. */
  readonly followers: readonly Follower[]
  /** What the target may have wrong until it is looked at: see doubtful-keys.ts. */
  readonly doubt: Doubt | null
  readonly #resources: AsyncDisposableStack

  /** Rejects with `redis.resync-required` where a shard no longer has what comes after its checkpoint. */
  static async open(options: SlotFollowOptions): Promise<SlotFollowing> {
    await using stack = new AsyncDisposableStack()
    for (const stream of options.streams) if (stream) stack.use(stream.link)
    const late = new ChangedKeys()
    late.begin()
    const changed = new KeyRecorders([options.changed, late])
    const shards: OpenShard[] = []
    for (const source of options.layout.sources.keys()) {
      shards.push(await openShard({ ...options, changed }, source, stack))
    }
    const doubt = doubtOf(shards, late)
    if (!doubt) late.giveUp()
    return new SlotFollowing(
      shards.map(({ follower }) => follower),
      doubt,
      stack.move(),
    )
  }

  private constructor(followers: readonly Follower[], doubt: Doubt | null, resources: AsyncDisposableStack) {
    this.followers = followers
    this.doubt = doubt
    this.#resources = resources
  }

  /** Ends when all have ended; the first that fails ends the others. */
  async run({ signal, report, throttle }: FollowOptions): Promise<void> {
    const failed = new AbortController()
    const either = AbortSignal.any([signal, failed.signal])
    const latest: FollowProgress[] = []
    const runs = this.followers.map(async (follower, source) => {
      const take = (progress: FollowProgress) => {
        latest[source] = progress
        if (Object.keys(latest).length === this.followers.length) report(sum(latest))
      }
      try {
        await follower.run({ signal: either, report: take, throttle })
      } catch (thrown) {
        failed.abort(thrown)
      }
    })
    await Promise.all(runs)
    if (failed.signal.aborted) throw failed.signal.reason
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#resources.disposeAsync()
  }
}

interface OpenShard {
  readonly follower: Follower
  readonly hasLapsed: boolean
  /** Where its stream ended when it was opened, if up to there it may tell deadlines that are too late; or 0. */
  readonly lateUntil: number
}

function doubtOf(shards: readonly OpenShard[], late: ChangedKeys): Doubt | null {
  if (shards.some((shard) => shard.hasLapsed)) return 'everything'
  const until = shards.map(({ lateUntil }) => lateUntil)
  return until.some((offset) => offset > 0) ? { until, late } : null
}

async function openShard(options: SlotFollowOptions, source: number, stack: AsyncDisposableStack): Promise<OpenShard> {
  const { layout, epoch, changed } = options
  const shard = layout.sources[source] as Shard
  const parts = new Map<number, { writer: PartWriter; place: PartPlace }>()
  const checkpoints: PartCheckpoint[] = []
  const asked = stack.use(await openConnection({ url: shard.url, side: 'source' }))
  const stream = options.streams[source]
  const lateUntil = stream || (await readServer(asked)).major >= 7 ? 0 : await readOffset(asked)
  let isInDoubt = false
  for (const part of layout.partsOf(source)) {
    const keys = layout.keysOf(part, source)
    const { url } = layout.parts[part] as Part
    const target = stack.use(await openConnection({ url, side: 'target' }))
    const checkpoint = await readPartCheckpoint(target, keys)
    if (!checkpoint) throw notLoaded(layout.parts[part] as Part)
    const { isLowered, aheadUntilMs } = checkpoint.deadlines
    const mayLack = await hasLapsed(target, checkpoint.deadlines)
    // Before they are lifted; and where this process ends before it has looked, the next one looks at everything.
    if (mayLack || lateUntil > 0) await target.command('HSET', keys.checkpoint, 'lapsed', 1)
    if (isLowered || aheadUntilMs !== null) await liftAgain({ target, keys, epoch, checkpoints: [keys.checkpoint] })
    isInDoubt ||= mayLack
    parts.set(part, { writer: new PartWriter({ target, keys, epoch }), place: checkpoint.place })
    checkpoints.push(checkpoint)
  }
  const { link, from } = stream
    ? { link: stream.link, from: stream.link.start.offset }
    : await resume(shard, asked, checkpoints)
  stack.use(link)
  const { replid } = link.start
  const written = Math.max(...checkpoints.map((checkpoint) => checkpoint.written))
  const isLevel = from >= written && isBetweenUnits(checkpoints)
  // Another server has taken over and gave the history its own name: a barrier will be told by that.
  for (const part of parts.values()) {
    const to = isLevel ? { offset: from, step: 0 } : part.place
    await part.writer.commitAt(part.writer.createBuffer(64), { from: part.place, to, replid, written })
    part.place = to
  }
  const clockOffsetMs = await readClockOffset(asked)
  const sink = new SlotSink({ layout, source, parts, replid, written, changed, clockOffsetMs })
  const share = 1 / layout.sources.length
  const follower = new Follower({ link, first: stream?.first ?? null, sink, source: asked, from, share })
  return { follower, hasLapsed: isInDoubt, lateUntil }
}

/**
 * Parts may be at different places. All of them must lie in the history that the source has now: otherwise what the
 * source wrote since would be taken for what a part has already. Where only a part's place does not, but nothing was
 * written between the last write and it, all begin again behind that write.
 */
async function resume(
  { url, slots }: Shard,
  source: Connection,
  checkpoints: readonly PartCheckpoint[],
): Promise<{ link: ReplicaLink; from: number }> {
  // Of a unit that is applied in part at least the first command must be shared.
  const reached = checkpoints.map(({ replid, place }) => ({ replid, offset: place.offset + (place.step > 0 ? 1 : 0) }))
  const places = checkpoints.map(({ replid, place }) => ({ replid, offset: place.offset }))
  const first = places.reduce((a, b) => (b.offset < a.offset ? b : a))
  const written = Math.max(...checkpoints.map((checkpoint) => checkpoint.written))
  const memory = await readMemory(source)
  const isHere = !memory || (reached.every((place) => isShared(memory, place)) && canGoOn(memory, first))
  const behindWrite = { ...first, offset: written }
  const isLevel = first.offset >= written && isBetweenUnits(checkpoints)
  const hasAll = isLevel && memory && canGoOn(memory, behindWrite)
  if (!isHere && !hasAll) throw tooLate(slots, first)
  const after = isHere ? first : behindWrite
  const link = await ReplicaLink.open({ url, after })
  if (!link.snapshot) return { link, from: after.offset }
  await link[Symbol.asyncDispose]()
  throw tooLate(slots, first)
}

function isBetweenUnits(checkpoints: readonly PartCheckpoint[]): boolean {
  return checkpoints.every(({ place }) => place.step === 0)
}

function tooLate(slots: SlotSet, { replid, offset }: ReplicationPoint): ReplatformError {
  return new ReplatformError('redis.resync-required', {
    message: `The source of slots ${slots} no longer has its stream from offset ${offset + 1} on, or has another history.`,
    position: `${replid}:${offset}`,
  })
}

function notLoaded({ slots }: Part): ReplatformError {
  return new ReplatformError('redis.resync-required', {
    message: `The target has no checkpoint of this move for slots ${slots}: it was never loaded whole, or slots were moved since, on the source or there.`,
  })
}

/** Positions in the order of the shards; as late as the latest of them. */
function sum(all: readonly FollowProgress[]): FollowProgress {
  const total = (of: (progress: FollowProgress) => number) => all.reduce((sum, progress) => sum + of(progress), 0)
  return {
    position: position(all.map((progress) => progress.position).join(',')),
    lagMs: Math.max(...all.map(({ lagMs }) => lagMs)),
    lagBytes: total(({ lagBytes }) => lagBytes),
    transactions: total(({ transactions }) => transactions),
    rows: total(({ rows }) => rows),
    bytes: total(({ bytes }) => bytes),
  }
}
