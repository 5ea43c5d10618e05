/**
 * The way back from a side that lets nobody replicate. Keys are copied as they stand (see resync-follower.ts), and a
 * rollback ends in one comparison of everything, with repair, while both sides are fenced.
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
import { type CompareKeysOptions, compareAllKeys } from './compare.ts'
import { openConnection } from './connection.ts'
import { type ControlKeys, controlKeys, isControlKey } from './control-keys.ts'
import { DirtyKeys } from './dirty-keys.ts'
import { EpochWriter } from './epoch-writer.ts'
import { raiseEpoch } from './flow-store.ts'
import { KeyCopier } from './key-copier.ts'
import { KeyEvents } from './key-events.ts'
import { ServerReader } from './key-reader.ts'
import { enableNotifications, restoreNotifications } from './notification-setting.ts'
import { readRdbVersion } from './rdb-version.ts'
import { ResyncFollower } from './resync-follower.ts'
import { compareSettled, repairAll } from './resync-pass.ts'
import { readServer } from './server-info.ts'
import { Sides } from './sides.ts'

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
  #following: ResyncFollower | null = null

  constructor(open: OpenOptions) {
    this.#open = open
    this.#keys = controlKeys(open)
    this.#sides = new Sides(open)
  }

  async assess(): Promise<Finding[]> {
    return []
  }

  async prepare({ load }: { readonly load: boolean }): Promise<void> {
    if (load) throw noLoad()
    const { log } = this.#open
    await this.#sides.both((source, target) =>
      enableNotifications(source, { on: target, memory: this.#keys.notifications, log }),
    )
  }

  groups(): Promise<LoadGroup[]> {
    return Promise.reject(noLoad())
  }

  // biome-ignore lint/correctness/useYield: a way back loads nothing
  async *chunks(): AsyncIterable<Chunk> {
    throw noLoad()
  }

  load(): Promise<Loaded> {
    return Promise.reject(noLoad())
  }

  finishLoad(): Promise<void> {
    return Promise.reject(noLoad())
  }

  async follow(options: FollowOptions): Promise<void> {
    if (this.#following) throw new ReplatformError('usage', { message: 'The mover follows already.' })
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
    await this.#sides.requireFenced('source')
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
    await this.#sides.requireFenced('target')
  }

  /** Both sides are equal and fenced: from here on nothing may be missed. */
  async markStart(): Promise<void> {
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

  async #openCopier(epoch: number): Promise<AsyncDisposable & { readonly copier: KeyCopier }> {
    await using stack = new AsyncDisposableStack()
    const opened = stack.use(await this.#openReaders())
    const target = await openConnection({ url: this.#open.target.url, side: 'target' })
    const writer = stack.use(new EpochWriter({ target, keys: this.#keys, epoch }))
    // A new connection is in database 0.
    const targetRdbVersion = await readRdbVersion(target, this.#keys.epoch)
    const copier = new KeyCopier({ source: opened.readers.source, writer, targetRdbVersion })
    const all = stack.move()
    return { copier, [Symbol.asyncDispose]: () => all.disposeAsync() }
  }

  async #raise(): Promise<number> {
    this.#epoch = await this.#sides.target.use((target) => raiseEpoch(target, this.#keys))
    return this.#epoch
  }
}

type Pass = Omit<CompareKeysOptions, 'follower' | 'onDifferences'>

function noLoad(): ReplatformError {
  return new ReplatformError('usage', { message: 'A way back loads nothing.' })
}
