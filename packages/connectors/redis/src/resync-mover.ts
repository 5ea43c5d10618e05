/**
 * A flow from a side that lets nobody replicate: the way back, or a move whose source refuses it. Keys are copied as
 * they stand (see resync-follower.ts), and a cutover ends in one comparison of everything, with repair, while both
 * sides are fenced.
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
import type { Finding } from '@replatform/core/finding'
import type { Side } from '@replatform/core/move'
import { position } from '@replatform/core/position'
import { aborted } from './aborted.ts'
import { assess } from './assess.ts'
import type { Argument } from './command-buffer.ts'
import { type CompareKeysOptions, compareAllKeys } from './compare.ts'
import { type Connection, openConnection } from './connection.ts'
import { type ControlKeys, controlKeys, isControlKey } from './control-keys.ts'
import { copyFindings } from './copy-findings.ts'
import { copyAllKeys } from './copy-load.ts'
import { DirtyKeys } from './dirty-keys.ts'
import { EpochWriter } from './epoch-writer.ts'
import { hasUsers } from './fence.ts'
import { raiseEpoch, toMap } from './flow-store.ts'
import { readGroup } from './full-load.ts'
import { KeyCopier } from './key-copier.ts'
import { KeyEvents } from './key-events.ts'
import { type KeyReader, ServerReader } from './key-reader.ts'
import { copyLibraries } from './library.ts'
import { enableNotifications, readNotifications, restoreNotifications } from './notification-setting.ts'
import { prepareLoad } from './prepare.ts'
import { readRdbVersion } from './rdb-version.ts'
import { ResyncFollower } from './resync-follower.ts'
import { compareSettled, repairAll } from './resync-pass.ts'
import { readServer } from './server-info.ts'
import { Sides } from './sides.ts'
import { readWriteCalls } from './write-calls.ts'

const unhurriedMs = 10_000
const onlyChunk = 'snapshot'
/** Connections to each side that copy at once. */
const loadLanes = 4

interface Listening {
  readonly stream: KeyEvents
  lost: ReplatformError | null
}

export class ResyncMover implements Mover {
  readonly #open: OpenOptions
  readonly #keys: ControlKeys
  readonly #sides: Sides
  readonly #dirty = new DirtyKeys()
  #events: Listening | null = null
  /** Both sides were equal when the events began, and none was missed since. */
  #isWhole = false
  #epoch: number | null = null
  /** On a managed source, at the barrier. */
  #writeCalls: number | null = null
  #following: ResyncFollower | null = null

  constructor(open: OpenOptions) {
    this.#open = open
    this.#keys = controlKeys(open)
    this.#sides = new Sides(open)
  }

  assess(): Promise<Finding[]> {
    const open = this.#open
    if (open.direction === 'reverse') return Promise.resolve([])
    return this.#sides.both(async (source, target) => [
      ...(await assess({ open, keys: this.#keys, source, target })),
      ...copyFindings(await readNotifications(source)),
    ])
  }

  async prepare({ load }: { readonly load: boolean }): Promise<void> {
    const { log } = this.#open
    if (load) {
      const fenceTarget = (target: Connection) => this.#sides.fenceOn(target, unhurriedMs)
      await this.#sides.target.use((target) =>
        prepareLoad({ target, keys: this.#keys, fenceTarget: () => fenceTarget(target) }),
      )
    }
    if (!(await this.#canWrite())) {
      const { move } = this.#open
      log.warn({ move }, 'The old side is older than 6: fenced, it takes no write of the mover either. No way back.')
      return
    }
    await this.#sides.both((source, target) =>
      enableNotifications(source, { on: target, memory: this.#keys.notifications, log }),
    )
  }

  async groups(): Promise<LoadGroup[]> {
    const isLoaded = await this.#isLoaded()
    return [await this.#sides.source.use((source) => readGroup(source, isLoaded))]
  }

  async *chunks(): AsyncIterable<Chunk> {
    if (!(await this.#isLoaded())) yield { id: onlyChunk, group: 'keys', bytes: 0 }
  }

  /** Listens first, so that what is written meanwhile is copied again by `follow`. */
  async load(
    _chunk: Chunk,
    signal: AbortSignal,
    progress: (loaded: Loaded) => Promise<void> = async () => {},
  ): Promise<Loaded> {
    const epoch = await this.#raise()
    await this.#listen({ isWhole: true })
    await using stack = new AsyncDisposableStack()
    const opened = await Promise.all(
      Array.from({ length: loadLanes }, async () => stack.use(await this.#openCopier(epoch))),
    )
    const [{ writer, source }] = opened as [OpenCopier]
    await this.#empty(writer, epoch)
    const loaded = await copyAllKeys({ source, copiers: opened.map(({ copier }) => copier), signal, progress })
    await this.#sides.both(copyLibraries)
    await this.#write(writer, ['SELECT', 0], ['HSET', this.#keys.checkpoint, 'copied', 1])
    return loaded
  }

  async finishLoad(): Promise<void> {}

  /** What was set on the source before us is kept on the target, and nowhere else. */
  async #empty(writer: EpochWriter, epoch: number): Promise<void> {
    const { notifications } = this.#keys
    const before = await this.#sides.target.use(async (target) => {
      await target.command('SELECT', 0)
      return target.command('GET', notifications)
    })
    const kept: Argument[][] = Buffer.isBuffer(before) ? [['SET', notifications, before]] : []
    await this.#write(writer, ['FLUSHALL'], ['SET', this.#keys.epoch, epoch], ...kept)
  }

  async #write(writer: EpochWriter, ...commands: Argument[][]): Promise<void> {
    const buffer = writer.createBuffer(1024)
    for (const command of commands) buffer.add(command)
    await writer.commit(buffer)
  }

  async #isLoaded(): Promise<boolean> {
    return (await this.#readMarks()).has('copied')
  }

  #readMarks(): Promise<Map<string, string>> {
    return this.#sides.target.use(async (target) => {
      await target.command('SELECT', 0)
      return toMap(await target.command('HGETALL', this.#keys.checkpoint))
    })
  }

  /** A flow that began by replication has lifted every deadline on the target, which nobody would lower here. */
  async #requireCopied(): Promise<void> {
    const marks = await this.#readMarks()
    if (this.#open.direction === 'reverse' || (marks.has('copied') && !marks.has('replid'))) return
    throw new ReplatformError('redis.replication-refused', {
      message: 'This move was loaded by replication, and the source no longer lets the mover replicate.',
      untouched: 'The target stays as it is and is never opened; the source is unchanged.',
    })
  }

  async follow(options: FollowOptions): Promise<void> {
    if (this.#following) throw new ReplatformError('usage', { message: 'The mover follows already.' })
    if (!(await this.#canWrite())) return aborted(options.signal)
    await this.#requireCopied()
    if (!this.#events || this.#events.lost) await this.#listen({ isWhole: false })
    const epoch = await this.#raise()
    await using opened = await this.#openCopier(epoch)
    const follower = new ResyncFollower({
      dirty: this.#dirty,
      copier: opened.copier,
      pass: (signal) => this.#passLive(signal),
      isWhole: this.#isWhole,
      listenAgain: () => this.#listenAgain(),
    })
    this.#following = follower
    try {
      await follower.run(options)
    } catch (thrown) {
      // What was being copied is no longer known as written.
      this.#isWhole = false
      throw thrown
    } finally {
      this.#following = null
    }
  }

  async raiseEpoch(): Promise<void> {
    await this.#raise()
  }

  fence(side: Side, { withinMs }: { readonly withinMs: number }): Promise<void> {
    return this.#sides.fence(side, withinMs)
  }

  unfence(side: Side): Promise<void> {
    return this.#sides.unfence(side)
  }

  async barrier(): Promise<Barrier> {
    if (!(await this.#canWrite())) {
      throw new ReplatformError('redis.no-way-back', { message: 'The old side is older than 6.' })
    }
    await this.#sides.requireFenced('source')
    this.#writeCalls = this.#sides.isManaged('source') ? await this.#sides.source.use(readWriteCalls) : null
    return { position: position('everything'), at: new Date().toISOString() }
  }

  /** What is known; the comparison that follows finds the rest. */
  async remaining(): Promise<Remaining> {
    return { count: this.#following?.remaining ?? 0, unit: 'changes', exact: false }
  }

  async compare({ scope, at, signal, report }: CompareOptions): Promise<CompareReport> {
    const startedAt = performance.now()
    await using readers = await this.#openReaders()
    const options = { ...readers.readers, signal, report }
    const results = await this.#compare(options, { scope, at })
    const seconds = (performance.now() - startedAt) / 1_000
    // What differs while both live was noted and is copied: only the fenced comparison judges.
    const isAhead = at === 'live' && scope === 'changed'
    const equal = isAhead || results.every(isEqual)
    return {
      scope,
      at: position('everything'),
      equal,
      seconds,
      results,
      ...(at === 'live' ? { pauseSeconds: seconds } : {}),
    }
  }

  async #compare(options: Pass, { scope, at }: Pick<CompareOptions, 'scope' | 'at'>): Promise<CompareResult[]> {
    if (at === 'live') return scope === 'all' ? compareSettled(options) : compareAllKeys(this.#noting(options))
    const epoch = this.#epoch ?? (await this.#raise())
    await using opened = await this.#openCopier(epoch)
    return await repairAll({ ...options, copier: opened.copier })
  }

  async settle(): Promise<void> {
    await this.#sides.requireFenced('source')
    await this.#requireUnwritten()
    await this.#sides.requireFenced('target')
    // No notification tells of functions.
    if (this.#open.direction === 'forward') await this.#sides.both(copyLibraries)
  }

  /** Nobody can fence a managed side by command; that nobody wrote there can be seen. */
  async #requireUnwritten(): Promise<void> {
    if (this.#writeCalls === null || this.#writeCalls === (await this.#sides.source.use(readWriteCalls))) return
    throw new ReplatformError('redis.fence-lifted', {
      message: 'The managed side was written behind the barrier: somebody reaches it past the switchover point.',
    })
  }

  /** Both sides are equal and fenced: from here on nothing may be missed. */
  async markStart(): Promise<void> {
    if (!(await this.#canWrite())) return
    await this.#listen({ isWhole: true })
  }

  async recordDecision(decision: Decision): Promise<void> {
    await this.#sides.recordDecision(decision, this.#keys)
  }

  async cleanUp(scope: 'stream' | 'everything'): Promise<void> {
    await this.#stopListening()
    await this.#sides.both((source, target) => restoreNotifications(source, target, this.#keys.notifications))
    if (scope === 'everything') await this.#sides.forget(this.#keys)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stopListening()
    await this.#sides[Symbol.asyncDispose]()
  }

  /** What fences a server before 6 stops everybody. */
  #canWrite(): Promise<boolean> {
    return this.#sides.target.use(hasUsers)
  }

  async #listen({ isWhole }: { readonly isWhole: boolean }): Promise<void> {
    await this.#stopListening()
    const { url } = this.#open.source
    const listening: { lost: ReplatformError | null } = { lost: null }
    const stream = await KeyEvents.open({
      url,
      onKey: (db, key) => {
        if (!isControlKey(db, key)) this.#dirty.add(db, key)
      },
      onLost: (error) => {
        listening.lost = error
        this.#isWhole = false
      },
    })
    this.#events = Object.assign(listening, { stream })
    this.#isWhole = isWhole
  }

  /** A server cuts off whoever reads its events too slowly, as after a script that writes a million keys. */
  async #listenAgain(): Promise<boolean> {
    if (!this.#events?.lost) return false
    const { move, log } = this.#open
    log.warn({ move, err: this.#events.lost }, 'Keyspace notifications broke off; every key is looked at again.')
    await this.#listen({ isWhole: false })
    return true
  }

  async #stopListening(): Promise<void> {
    await this.#events?.stream[Symbol.asyncDispose]()
    this.#events = null
    this.#isWhole = false
  }

  async #passLive(signal: AbortSignal): Promise<void> {
    await using opened = await this.#openReaders()
    await compareAllKeys(this.#noting({ ...opened.readers, signal, report: undefined }))
  }

  #noting(options: Pass): CompareKeysOptions {
    return {
      ...options,
      follower: null,
      onDifferences: async (db, keys) => {
        for (const key of keys) this.#dirty.add(db, key)
      },
    }
  }

  async #openReaders(): Promise<AsyncDisposable & { readonly readers: Pick<Pass, Side> }> {
    await using stack = new AsyncDisposableStack()
    const open = async (side: Side): Promise<ServerReader> => {
      const connection = stack.use(await openConnection({ url: this.#open[side].url, side }))
      return new ServerReader(connection, (await readServer(connection)).major)
    }
    const readers = { source: await open('source'), target: await open('target') }
    const all = stack.move()
    return { readers, [Symbol.asyncDispose]: () => all.disposeAsync() }
  }

  async #openCopier(epoch: number): Promise<OpenCopier> {
    await using stack = new AsyncDisposableStack()
    const opened = stack.use(await this.#openReaders())
    const target = await openConnection({ url: this.#open.target.url, side: 'target' })
    const writer = stack.use(new EpochWriter({ target, keys: this.#keys, epoch }))
    // A new connection is in database 0.
    const targetRdbVersion = await readRdbVersion(target, this.#keys.epoch)
    const copier = new KeyCopier({ source: opened.readers.source, writer, targetRdbVersion })
    const all = stack.move()
    const { source } = opened.readers
    return { copier, writer, source, [Symbol.asyncDispose]: () => all.disposeAsync() }
  }

  async #raise(): Promise<number> {
    this.#epoch = await this.#sides.target.use((target) => raiseEpoch(target, this.#keys))
    return this.#epoch
  }
}

type Pass = Omit<CompareKeysOptions, 'follower' | 'onDifferences'>

interface OpenCopier extends AsyncDisposable {
  readonly copier: KeyCopier
  readonly writer: EpochWriter
  readonly source: KeyReader
}
