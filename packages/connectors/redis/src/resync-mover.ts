/**
 * A flow from a side that lets nobody replicate: the way back, or a move whose source refuses it. Keys are copied as
 * they stand (see resync-follower.ts), and a cutover ends in one comparison of everything, with repair, while both
 * sides are fenced. Either side may be one server or a cluster: nothing depends on the order of events, so each shard of
 * the source is a lane of its own, and slots that move only make everything be looked at again.
 */
import type {
  Barrier,
  Chunk,
  CompareOptions,
  Decision,
  FollowOptions,
  Loaded,
  LoadGroup,
  Mover,
  OpenOptions,
  Remaining,
} from '@replatform/core/connector'
import { type CompareReport, type CompareResult, isEqual } from '@replatform/core/difference'
import { ReplatformError } from '@replatform/core/errors'
import type { FenceLimits } from '@replatform/core/fence-order'
import type { Finding } from '@replatform/core/finding'
import type { Side } from '@replatform/core/move'
import { position } from '@replatform/core/position'
import { aborted } from './aborted.ts'
import { assess } from './assess.ts'
import { assessSlots } from './assess-slots.ts'
import { ByteBudget } from './byte-budget.ts'
import { type CompareKeysOptions, compareAllKeys } from './compare.ts'
import { isControlKey } from './control-keys.ts'
import { copyFindings } from './copy-findings.ts'
import { copyAllKeys } from './copy-load.ts'
import { DirtyKeys } from './dirty-keys.ts'
import { emptyTarget } from './empty-part.ts'
import { hasUsers } from './fence.ts'
import { FlowSides } from './flow-sides.ts'
import { toMap } from './flow-store.ts'
import { FlushWatch } from './flush-watch.ts'
import { readGroup } from './full-load.ts'
import type { KeyCopier } from './key-copier.ts'
import { openLanes } from './key-lanes.ts'
import { copyLibraries } from './library.ts'
import { NotificationSettings } from './notification-setting.ts'
import { openCopier } from './open-copier.ts'
import { otherDatabase } from './rdb-load.ts'
import { ResyncFollower } from './resync-follower.ts'
import { compareSettled, type PassOptions, repairAll } from './resync-pass.ts'
import { ShardEvents } from './shard-events.ts'
import type { SlotLayout } from './slot-layout.ts'
import { urlsOf } from './topology.ts'
import { readWriteCalls } from './write-calls.ts'

const onlyChunk = 'snapshot'
/** Copiers at once, shared out among the shards of the source. */
const loadLanes = 4
/** Of values that all copiers hold together. */
const copiedBytes = 8 * 1024 * 1024

export class ResyncMover implements Mover {
  readonly #open: OpenOptions
  readonly #sides: FlowSides
  readonly #settings: NotificationSettings
  readonly #dirty = new DirtyKeys()
  readonly #events: ShardEvents
  readonly #flushes: FlushWatch
  /** That the source has written to, and that the other side does not have. */
  #otherDb: number | null = null
  #isSpread = false
  #epoch: number | null = null
  /** Of a managed source, at the barrier. */
  #writeCalls: number | null = null
  /** Where everything lay when it was compared for the last time. */
  #compared: SlotLayout | null = null
  #following: ResyncFollower | null = null

  constructor(open: OpenOptions) {
    this.#open = open
    this.#sides = new FlowSides(open)
    const { move, log } = open
    this.#settings = new NotificationSettings({ sides: this.#sides, sourceUrl: open.source.url, log })
    this.#flushes = new FlushWatch(this.#sides.source)
    this.#events = new ShardEvents({
      move,
      log,
      onKey: (db, key) => this.#note(db, key),
      enable: (url) => this.#settings.enable(url),
    })
  }

  async assess(): Promise<Finding[]> {
    const open = this.#open
    if (open.direction === 'reverse') return []
    const [source, target] = await Promise.all([this.#sides.topology('source'), this.#sides.topology('target')])
    const copied = copyFindings(await this.#settings.read())
    if (source.isCluster || target.isCluster) {
      return [...(await assessSlots({ open, nodes: this.#sides, source, target })), ...copied]
    }
    const { flowKeys } = await this.#sides.layout()
    const found = await this.#sides.source.use(open.source.url, (asked) =>
      this.#sides.target.use(open.target.url, (other) =>
        assess({ open, keys: flowKeys, source: asked, target: other }),
      ),
    )
    return [...found, ...copied]
  }

  async prepare({ load }: { readonly load: boolean }): Promise<void> {
    const { move, log } = this.#open
    if (load) await this.#sides.takeTarget()
    if (await this.#canWrite()) await this.#settings.enableAll()
    else log.warn({ move }, 'The old side is older than 6: fenced, it takes no write of the mover either. No way back.')
  }

  async groups(): Promise<LoadGroup[]> {
    const layout = await this.#sides.layout()
    const isLoaded = await this.#isLoaded(layout)
    const groups = await this.#sides.source.each(urlsOf(layout.sources), (source) => readGroup(source, isLoaded))
    return [groups.reduce(addGroups)]
  }

  async *chunks(): AsyncIterable<Chunk> {
    if (!(await this.#isLoaded(await this.#sides.layout()))) yield { id: onlyChunk, group: 'keys', bytes: 0 }
  }

  /** Listens first, so that what is written meanwhile is copied again by `follow`. */
  async load(
    _chunk: Chunk,
    signal: AbortSignal,
    progress: (loaded: Loaded) => Promise<void> = async () => {},
  ): Promise<Loaded> {
    const layout = await this.#sides.layout()
    const epoch = await this.#raise(layout)
    await this.#events.begin(layout.sources, { isWhole: true })
    await using stack = new AsyncDisposableStack()
    const room = new ByteBudget(copiedBytes)
    const each = Math.max(Math.floor(loadLanes / layout.sources.length), 1)
    const shards = await Promise.all(
      [...layout.sources.keys()].map((source) =>
        Promise.all(
          Array.from({ length: each }, async () => stack.use(await openCopier({ layout, source, room, epoch }))),
        ),
      ),
    )
    await emptyTarget(layout, epoch)
    const loaded = await copyAllKeys({ shards, signal, progress })
    await this.#copyLibraries(layout)
    const { checkpoint } = layout.flowKeys
    await this.#sides.target.use(layout.urlOf(checkpoint), (target) => target.command('HSET', checkpoint, 'copied', 1))
    return loaded
  }

  async finishLoad(): Promise<void> {}

  async follow(options: FollowOptions): Promise<void> {
    if (this.#following) throw new ReplatformError('usage', { message: 'The mover follows already.' })
    if (!(await this.#canWrite())) return aborted(options.signal)
    const layout = await this.#sides.layout()
    await this.#requireCopied(layout)
    this.#isSpread = layout.isSpread
    const gaps = await this.#events.follow(layout.sources)
    const epoch = await this.#raise(layout)
    await using stack = new AsyncDisposableStack()
    const copiers = await openCopiers(layout, epoch, stack)
    const follower = new ResyncFollower({
      dirty: this.#dirty,
      copiers,
      laneOf: (key) => (layout.isSpread ? layout.sourceOf(key) : 0),
      gaps: [...layout.sources.keys()].filter((lane) => gaps.has(layout.source(lane).url)),
      pass: (lanes, signal) => this.#passLive(layout, lanes, signal),
      onWhole: (lane) => this.#events.close(layout.source(lane).url),
      findGaps: async () => {
        if (this.#otherDb !== null) throw otherDatabase(this.#otherDb)
        const lost = await this.#events.listenAgain(layout.sources)
        return [...lost.map((shard) => layout.sources.indexOf(shard)), ...(await this.#flushes.find(layout.sources))]
      },
    })
    this.#following = follower
    try {
      await follower.run(options)
    } catch (thrown) {
      // What was being copied is no longer known as written.
      this.#events.giveUp()
      throw movedNotLost(thrown)
    } finally {
      this.#following = null
    }
  }

  async strain(): Promise<null> {
    return null
  }

  async raiseEpoch(): Promise<void> {
    await this.#raise(await this.#sides.layout())
  }

  fence(side: Side, limits: FenceLimits): Promise<void> {
    return this.#sides.fence(side, limits)
  }

  unfence(side: Side, turn: Pick<FenceLimits, 'turn'>): Promise<void> {
    return this.#sides.unfence(side, turn)
  }

  async barrier(): Promise<Barrier> {
    if (!(await this.#canWrite())) {
      throw new ReplatformError('redis.no-way-back', { message: 'The old side is older than 6.' })
    }
    await this.#sides.requireFenced('source')
    this.#writeCalls = this.#sides.isManaged('source') ? await this.#countWriteCalls() : null
    return { position: position('everything'), at: new Date().toISOString() }
  }

  /** What is known; the comparison that follows finds the rest. */
  async remaining(): Promise<Remaining> {
    return { count: this.#following?.remaining ?? 0, unit: 'changes', exact: false }
  }

  async compare(options: CompareOptions): Promise<CompareReport> {
    const { scope, at } = options
    const startedAt = performance.now()
    const layout = await this.#sides.layout()
    const results = await this.#compare(layout, options)
    const seconds = (performance.now() - startedAt) / 1_000
    // What differs while both live was noted and is copied: only the fenced comparison judges.
    const isAhead = at === 'live' && scope === 'changed'
    const equal = isAhead || results.every(isEqual)
    const predicted = at === 'live' ? { pauseSeconds: seconds } : {}
    return { scope, at: position('everything'), equal, seconds, results, ...predicted }
  }

  async #compare(layout: SlotLayout, { scope, at, signal, report }: CompareOptions): Promise<CompareResult[]> {
    await using keys = await openLanes(layout)
    const options = { keys, signal, report }
    if (at === 'live')
      return scope === 'all' ? await compareSettled(options) : await compareAllKeys(this.#noting(options))
    await this.#sides.requireStill(layout)
    const epoch = this.#epoch ?? (await this.#raise(layout))
    await using stack = new AsyncDisposableStack()
    const copiers = await openCopiers(layout, epoch, stack)
    const results = await repairAll({ ...options, copiers })
    await this.#sides.requireStill(layout)
    this.#compared = layout
    return results
  }

  /** What was copied has its own deadlines. */
  async settleAhead(): Promise<void> {}

  async settle(): Promise<void> {
    await this.#sides.requireFenced('source')
    await this.#requireUnwritten()
    await this.#sides.requireFenced('target')
    if (this.#compared) await this.#sides.requireStill(this.#compared)
    // No notification tells of functions.
    if (this.#open.direction === 'forward') await this.#copyLibraries(await this.#sides.layout())
  }

  /** Both sides are equal and fenced: from here on nothing may be missed. */
  async markStart(): Promise<void> {
    if (!(await this.#canWrite())) return
    const layout = await this.#sides.layout()
    this.#isSpread = layout.isSpread
    this.#otherDb = null
    await this.#events.begin(layout.sources, { isWhole: true })
  }

  recordDecision(decision: Decision): Promise<void> {
    return this.#sides.recordDecision(decision)
  }

  async cleanUp(scope: 'stream' | 'everything'): Promise<void> {
    await this.#events.stop()
    await this.#settings.restoreAll()
    if (scope === 'everything') await this.#sides.forget()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#events.stop()
    await this.#sides[Symbol.asyncDispose]()
  }

  async #raise(layout: SlotLayout): Promise<number> {
    this.#epoch = await this.#sides.raise(layout)
    return this.#epoch
  }

  #note(db: number, key: Buffer): void {
    if (this.#isSpread && db !== 0) this.#otherDb = db
    else if (!isControlKey(db, key)) this.#dirty.add(db, key)
  }

  /** What fences a server before 6 stops everybody. */
  async #canWrite(): Promise<boolean> {
    const { shards } = await this.#sides.topology('target')
    return (await this.#sides.target.each(urlsOf(shards), hasUsers)).every(Boolean)
  }

  /** Nobody can fence a managed side by command; that nobody wrote there can be seen. */
  async #requireUnwritten(): Promise<void> {
    if (this.#writeCalls === null || this.#writeCalls === (await this.#countWriteCalls())) return
    throw new ReplatformError('redis.fence-lifted', {
      message: 'The managed side was written behind the barrier: somebody reaches it past the switchover point.',
    })
  }

  async #countWriteCalls(): Promise<number> {
    const { shards } = await this.#sides.topology('source')
    const calls = await this.#sides.source.each(urlsOf(shards), readWriteCalls)
    return calls.reduce((sum, each) => sum + each, 0)
  }

  async #isLoaded(layout: SlotLayout): Promise<boolean> {
    return (await this.#readMarks(layout)).has('copied')
  }

  #readMarks(layout: SlotLayout): Promise<Map<string, string>> {
    const { checkpoint } = layout.flowKeys
    return this.#sides.target.use(layout.urlOf(checkpoint), async (target) =>
      toMap(await target.command('HGETALL', checkpoint)),
    )
  }

  /** A flow that began by replication has lifted every deadline on the target, which nobody would lower here. */
  async #requireCopied(layout: SlotLayout): Promise<void> {
    if (this.#open.direction === 'reverse') return
    const marks = await this.#readMarks(layout)
    if (marks.has('copied') && !marks.has('replid')) return
    throw new ReplatformError('redis.replication-refused', {
      message: 'This move was loaded by replication, and the source no longer lets the mover replicate.',
      untouched: 'The target stays as it is and is never opened; the source is unchanged.',
    })
  }

  /** Those of one server of the source: all its servers have the same. */
  async #copyLibraries(layout: SlotLayout): Promise<void> {
    for (const { url } of layout.parts) {
      await this.#sides.source.use(layout.source(0).url, (source) =>
        this.#sides.target.use(url, (target) => copyLibraries(source, target)),
      )
    }
  }

  async #passLive(layout: SlotLayout, sources: readonly number[], signal: AbortSignal): Promise<void> {
    await using keys = await openLanes(layout, { sources })
    await compareAllKeys(this.#noting({ keys, signal, report: undefined }))
  }

  #noting(options: PassOptions): CompareKeysOptions {
    return {
      ...options,
      onDifferences: async (db, keys) => {
        for (const key of keys) this.#dirty.add(db, key)
      },
    }
  }
}

/** One for each shard of the source. */
function openCopiers(layout: SlotLayout, epoch: number, stack: AsyncDisposableStack): Promise<KeyCopier[]> {
  const room = new ByteBudget(copiedBytes)
  return Promise.all(
    [...layout.sources.keys()].map(
      async (source) => stack.use(await openCopier({ layout, source, room, epoch })).copier,
    ),
  )
}

/** Order does not matter here: where slots went is asked, and everything is looked at again. */
function movedNotLost(thrown: unknown): unknown {
  if (!(thrown instanceof ReplatformError && thrown.code === 'redis.slots-moved')) return thrown
  return new ReplatformError('redis.moved', {
    message: `Slots move: ${thrown.message}`,
    next: 'Nothing: when they have settled the move looks at every key again and goes on.',
    cause: thrown,
  })
}

function addGroups(a: LoadGroup, b: LoadGroup): LoadGroup {
  const done = { ...a.done, rows: a.done.rows + b.done.rows, bytes: a.done.bytes + b.done.bytes }
  return { ...a, rows: a.rows + b.rows, bytes: a.bytes + b.bytes, done }
}
