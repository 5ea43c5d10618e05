/** The contract's verbs for Redis and Valkey, each a few calls into the files that know how. */
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
import { type CompareReport, isEqual } from '@replatform/core/difference'
import { ReplatformError } from '@replatform/core/errors'
import type { Finding } from '@replatform/core/finding'
import type { Side } from '@replatform/core/move'
import { assess } from './assess.ts'
import { ChangedKeys } from './changed-keys.ts'
import { compareAllKeys, compareSomeKeys } from './compare.ts'
import { type Connection, openConnection } from './connection.ts'
import { type ControlKeys, controlKeys } from './control-keys.ts'
import { sweepDeadlines } from './deadline-sweep.ts'
import { fenceSide, requireFenced, unfenceSide } from './fence.ts'
import { formatPoint, parsePoint, raiseEpoch, readFlow } from './flow-store.ts'
import { loadAll, type OpenStream, readGroup } from './full-load.ts'
import { ServerReader } from './key-reader.ts'
import { type FollowSession, openFollower } from './open-follower.ts'
import { prepareLoad } from './prepare.ts'
import { eachReplica } from './sentinel.ts'
import { readInfo, readServer } from './server-info.ts'
import { SideConnection } from './side-connection.ts'

const unhurriedMs = 10_000
const onlyChunk = 'snapshot'

export class RedisMover implements Mover {
  readonly #open: OpenOptions
  readonly #keys: ControlKeys
  readonly #sides: Readonly<Record<Side, SideConnection>>
  readonly #changed = new ChangedKeys()
  #epoch: number | null = null
  #stream: OpenStream | null = null
  #following: FollowSession | null = null

  constructor(open: OpenOptions) {
    this.#open = open
    this.#keys = controlKeys(open)
    this.#sides = {
      source: new SideConnection({ url: open.source.url, side: 'source' }),
      target: new SideConnection({ url: open.target.url, side: 'target' }),
    }
  }

  assess(): Promise<Finding[]> {
    return this.#onBoth((source, target) => assess({ open: this.#open, keys: this.#keys, source, target }))
  }

  async prepare({ load }: { readonly load: boolean }): Promise<void> {
    if (!load) return
    this.#epoch = await this.#sides.target.use((target) =>
      prepareLoad({ target, keys: this.#keys, fenceTarget: () => this.#fence(target, unhurriedMs) }),
    )
  }

  async groups(): Promise<LoadGroup[]> {
    const isLoaded = await this.#isLoaded()
    return [await this.#sides.source.use((source) => readGroup(source, isLoaded))]
  }

  async *chunks(): AsyncIterable<Chunk> {
    if (!(await this.#isLoaded())) yield { id: onlyChunk, group: 'keys', bytes: 0 }
  }

  async load(
    _chunk: Chunk,
    signal: AbortSignal,
    progress: (loaded: Loaded) => Promise<void> = async () => {},
  ): Promise<Loaded> {
    await this.#dropStream()
    const epoch = await this.#raise()
    const { source, target } = this.#open
    const options = { sourceUrl: source.url, targetUrl: target.url, keys: this.#keys, epoch, signal, progress }
    const { stream, loaded } = await loadAll(options)
    this.#stream = stream
    return loaded
  }

  async finishLoad(): Promise<void> {}

  /** There is no way back to follow yet (`reverse: 'none'`): such a flow stands still, and a rollback is refused. */
  async follow(options: FollowOptions): Promise<void> {
    if (this.#following) throw new ReplatformError('usage', { message: 'The mover follows already.' })
    if (this.#open.direction === 'reverse') return aborted(options.signal)
    const stream = this.#stream
    this.#stream = null
    const session = await openFollower({
      sourceUrl: this.#open.source.url,
      targetUrl: this.#open.target.url,
      keys: this.#keys,
      changed: this.#changed,
      stream,
    })
    this.#following = session
    this.#epoch = session.epoch
    try {
      await session.follower.run(options)
    } finally {
      this.#following = null
      await session[Symbol.asyncDispose]()
    }
  }

  async raiseEpoch(): Promise<void> {
    await this.#raise()
  }

  fence(side: Side, { withinMs }: { readonly withinMs: number }): Promise<void> {
    return this.#sides[side].use(async (connection) => {
      // Replicas first: one that takes over meanwhile is closed already.
      await eachReplica(this.#open[side].url, side, (replica) => this.#fence(replica, withinMs))
      await this.#fence(connection, withinMs)
    })
  }

  unfence(side: Side): Promise<void> {
    const { move, log } = this.#open
    return this.#sides[side].use(async (connection) => {
      await unfenceSide({ connection, move, log })
      await eachReplica(this.#open[side].url, side, (replica) => unfenceSide({ connection: replica, move, log }))
    })
  }

  barrier(): Promise<Barrier> {
    this.#requireForward()
    return this.#sides.source.use(async (source) => {
      await requireFenced(source)
      const fields = await readInfo(source, 'replication')
      const point = { replid: fields.get('master_replid') ?? '', offset: Number(fields.get('master_repl_offset')) }
      const [seconds] = (await source.command('TIME')) as Buffer[]
      return { position: formatPoint(point), at: new Date(Number(String(seconds)) * 1000).toISOString() }
    })
  }

  remaining(barrier: Barrier): Promise<Remaining> {
    return this.#sides.target.use(async (target) => {
      const { checkpoint } = await readFlow(target, this.#keys)
      const end = parsePoint(barrier.position)
      if (checkpoint?.point.replid !== end.replid) {
        throw new ReplatformError('redis.moved', { message: 'Another server has taken over since the barrier.' })
      }
      return { count: Math.max(end.offset - checkpoint.point.offset, 0), unit: 'bytes', exact: true }
    })
  }

  async compare({ scope, at, signal, report }: CompareOptions): Promise<CompareReport> {
    this.#requireForward()
    const startedAt = performance.now()
    await using source = await openConnection({ url: this.#open.source.url, side: 'source' })
    await using target = await openConnection({ url: this.#open.target.url, side: 'target' })
    const { major, fields } = await readServer(source)
    const { major: targetMajor } = await readServer(target)
    const follower = at === 'live' ? (this.#following?.follower ?? null) : null
    const changed = scope === 'changed' ? this.#changed.list() : null
    const readers = { source: new ServerReader(source, major), target: new ServerReader(target, targetMajor) }
    const options = { ...readers, follower, signal, report }
    this.#changed.begin()
    try {
      const results = changed ? await compareSomeKeys(options, changed) : await compareAllKeys(options)
      const equal = results.every(isEqual)
      if (!equal) this.#changed.giveUp()
      const end = { replid: fields.get('master_replid') ?? '', offset: Number(fields.get('master_repl_offset')) }
      return { scope, at: formatPoint(end), equal, seconds: (performance.now() - startedAt) / 1_000, results }
    } catch (thrown) {
      this.#changed.giveUp()
      throw thrown
    }
  }

  /** Gives every key its own deadline, after a last look at both fences. */
  async settle(): Promise<void> {
    await this.#onBoth(async (source, target) => {
      await requireFenced(source)
      if (!this.#isManaged('target')) await requireFenced(target)
      await target.command('SELECT', 0)
      await target.command('HSET', this.#keys.checkpoint, 'lowered', 1)
      await sweepDeadlines({ target, keys: this.#keys, epoch: this.#epoch ?? (await this.#raiseOn(target)) }, 'lower')
    })
  }

  async markStart(): Promise<void> {}

  async recordDecision({ id, outcome, at }: Decision): Promise<void> {
    await this.#sides.target.use(async (target) => {
      await target.command('SELECT', 0)
      await target.command('HSETNX', this.#keys.decisions, id, `${outcome} ${at}`)
    })
  }

  async cleanUp(scope: 'stream' | 'everything'): Promise<void> {
    await this.#dropStream()
    if (scope === 'stream') return
    const { epoch, checkpoint, decisions } = this.#keys
    for (const side of ['source', 'target'] as const) {
      await this.#sides[side].use(async (connection) => {
        await connection.command('SELECT', 0)
        await connection.command('DEL', epoch, checkpoint, decisions)
      })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dropStream()
    await this.#sides.source[Symbol.asyncDispose]()
    await this.#sides.target[Symbol.asyncDispose]()
  }

  async #dropStream(): Promise<void> {
    await this.#stream?.link[Symbol.asyncDispose]()
    this.#stream = null
  }

  #isLoaded(): Promise<boolean> {
    return this.#sides.target.use(async (target) => {
      await target.command('SELECT', 0)
      return (await readFlow(target, this.#keys)).checkpoint !== null
    })
  }

  #raise(): Promise<number> {
    return this.#sides.target.use((target) => this.#raiseOn(target))
  }

  async #raiseOn(target: Connection): Promise<number> {
    this.#epoch = await raiseEpoch(target, this.#keys)
    return this.#epoch
  }

  /** ElastiCache lets nobody but AWS change users: there it is the user group that must admit only the mover. */
  async #fence(connection: Connection, withinMs: number): Promise<void> {
    const { move, log } = this.#open
    if (this.#isManaged(connection.place.side)) {
      log.warn({ move }, 'ElastiCache is not fenced by its users: its user group must admit only the mover.')
    } else {
      await fenceSide({ connection, move, withinMs, log })
    }
  }

  #isManaged(side: Side): boolean {
    return this.#open[side].service === 'elasticache'
  }

  #requireForward(): void {
    if (this.#open.direction === 'forward') return
    throw new ReplatformError('redis.no-way-back', { message: 'The way back from the new Redis is not built yet.' })
  }

  #onBoth<T>(work: (source: Connection, target: Connection) => Promise<T>): Promise<T> {
    return this.#sides.source.use((source) => this.#sides.target.use((target) => work(source, target)))
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
