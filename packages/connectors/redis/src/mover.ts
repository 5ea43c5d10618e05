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
import type { FenceLimits } from '@replatform/core/fence-order'
import type { Finding } from '@replatform/core/finding'
import type { Side } from '@replatform/core/move'
import { assess } from './assess.ts'
import { ChangedKeys, KeyRecorders } from './changed-keys.ts'
import { compareAllKeys, compareSomeKeys } from './compare.ts'
import type { Connection } from './connection.ts'
import { type ControlKeys, controlKeys } from './control-keys.ts'
import { settleBeside } from './doubtful-keys.ts'
import { type EachPart, EarlyDeadlines } from './early-deadlines.ts'
import { hasUsers, requireFenced } from './fence.ts'
import { formatPoint, parsePoint, raiseEpoch, readFlow } from './flow-store.ts'
import { loadAll, type OpenStream, readGroup } from './full-load.ts'
import { openLanes } from './key-lanes.ts'
import { type FollowSession, openFollower } from './open-follower.ts'
import { prepareLoad } from './prepare.ts'
import { readScriptCalls } from './replica-fence.ts'
import { beginAgain, ensureBacklog } from './replication-backlog.ts'
import { historyOf, offsetOf, readServer } from './server-info.ts'
import { Sides } from './sides.ts'
import { SlotLayout } from './slot-layout.ts'

const unhurriedMs = 10_000
const onlyChunk = 'snapshot'

export class RedisMover implements Mover {
  readonly #open: OpenOptions
  readonly #keys: ControlKeys
  readonly #sides: Sides
  readonly #changed = new ChangedKeys()
  readonly #early: EarlyDeadlines
  #epoch: number | null = null
  #stream: OpenStream | null = null
  #following: FollowSession | null = null
  #settlingDoubt: Promise<void> = Promise.resolve()
  /** At the barrier; null where a fence stops scripts. */
  #scriptCalls: number | null = null

  constructor(open: OpenOptions) {
    this.#open = open
    this.#keys = controlKeys(open)
    this.#sides = new Sides(open)
    this.#early = new EarlyDeadlines(open.log)
  }

  assess(): Promise<Finding[]> {
    return this.#sides.both((source, target) => assess({ open: this.#open, keys: this.#keys, source, target }))
  }

  async prepare({ load }: { readonly load: boolean }): Promise<void> {
    if (!load) return this.#sides.source.use((source) => ensureBacklog(source, this.#open.source.url))
    this.#epoch = await this.#sides.target.use((target) =>
      prepareLoad({
        target,
        keys: this.#keys,
        fenceTarget: () => this.#sides.fenceOn(target, { withinMs: unhurriedMs, turn: 0 }),
      }),
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

  async follow(options: FollowOptions): Promise<void> {
    if (this.#following) throw new ReplatformError('usage', { message: 'The mover follows already.' })
    const stream = this.#stream
    this.#stream = null
    this.#early.forget()
    const session = await openFollower({
      sourceUrl: this.#open.source.url,
      targetUrl: this.#open.target.url,
      keys: this.#keys,
      changed: new KeyRecorders([this.#changed, this.#early.noted]),
      stream,
    })
    this.#following = session
    this.#epoch = session.epoch
    const ended = new AbortController()
    const { doubt, follower, epoch } = session
    if (doubt) {
      const { move, log, source, target } = this.#open
      const layout = SlotLayout.ofServers(this.#open, { source: source.url, target: target.url })
      const signal = AbortSignal.any([options.signal, ended.signal])
      this.#settlingDoubt = settleBeside({ layout, epoch, followers: [follower], doubt, signal, log, move })
    }
    try {
      await session.follower.run(options)
    } finally {
      this.#following = null
      ended.abort()
      await this.#early.end()
      await this.#settlingDoubt
      await session[Symbol.asyncDispose]()
    }
  }

  async strain(): Promise<null> {
    return null
  }

  async raiseEpoch(): Promise<void> {
    await this.#raise()
  }

  fence(side: Side, limits: FenceLimits): Promise<void> {
    return this.#sides.fence(side, limits)
  }

  unfence(side: Side, turn: Pick<FenceLimits, 'turn'>): Promise<void> {
    return this.#sides.unfence(side, turn)
  }

  barrier(): Promise<Barrier> {
    return this.#sides.source.use(async (source) => {
      await requireFenced(source)
      if (!(await hasUsers(source))) this.#scriptCalls = await readScriptCalls(source)
      const server = await readServer(source)
      const point = { replid: historyOf(server), offset: offsetOf(server.fields) }
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
    const startedAt = performance.now()
    const { source, target } = this.#open
    // Both hold the follower: one at a time.
    await this.#settlingDoubt
    const follower = at === 'live' ? this.#following?.follower : undefined
    const layout = SlotLayout.ofServers(this.#open, { source: source.url, target: target.url })
    await using keys = await openLanes(layout, { followers: follower ? [follower] : [] })
    const options = { keys, signal, report }
    const changed = scope === 'changed' ? this.#changed.list() : null
    this.#changed.begin()
    try {
      const results = changed ? await compareSomeKeys(options, changed) : await compareAllKeys(options)
      const equal = results.every(isEqual)
      if (!equal) this.#changed.giveUp()
      const end = await this.#sides.source.use(readServer)
      const point = { replid: historyOf(end), offset: offsetOf(end.fields) }
      return { scope, at: formatPoint(point), equal, seconds: (performance.now() - startedAt) / 1_000, results }
    } catch (thrown) {
      this.#changed.giveUp()
      throw thrown
    }
  }

  async settleAhead(options: { readonly pauseMs: number }): Promise<void> {
    // It lifts keys without a note of them.
    await this.#settlingDoubt
    const epoch = this.#following?.epoch
    if (epoch !== undefined) await this.#early.begin(this.#eachPart(epoch), options)
  }

  #eachPart(epoch: number): EachPart {
    const { epoch: epochKey, checkpoint } = this.#keys
    const part = { keys: { epoch: epochKey }, epoch, checkpoints: [checkpoint], holds: () => true }
    return (work) => this.#sides.target.use((target) => work({ ...part, target }))
  }

  /** Gives every key its own deadline, after a last look at both fences. */
  async settle(): Promise<void> {
    await this.#sides.both(async (source, target) => {
      await requireFenced(source)
      await this.#requireNoScripts(source)
      if (!this.#sides.isManaged('target')) await requireFenced(target)
      await target.command('SELECT', 0)
      await target.command('HSET', this.#keys.checkpoint, 'lowered', 1)
    })
    await this.#early.settle(this.#eachPart(this.#epoch ?? (await this.#raise())))
  }

  /** Scripts pass the fence of a server before 6: one behind the barrier may have written. */
  async #requireNoScripts(source: Connection): Promise<void> {
    if (this.#scriptCalls === null || this.#scriptCalls === (await readScriptCalls(source))) return
    throw new ReplatformError('redis.fence-lifted', {
      message: 'Scripts were called on the source behind the barrier, and this version lets them write past the fence.',
    })
  }

  /** After a rollback: the new side has what the old one has, and follows from there on with its deadlines lowered. */
  async markStart(): Promise<void> {
    await this.#dropStream()
    this.#changed.giveUp()
    this.#stream = await this.#sides.both((source, target) =>
      beginAgain({ source, sourceUrl: this.#open.source.url, target, keys: this.#keys }),
    )
  }

  async recordDecision(decision: Decision): Promise<void> {
    await this.#sides.recordDecision(decision, this.#keys)
  }

  async cleanUp(scope: 'stream' | 'everything'): Promise<void> {
    await this.#dropStream()
    if (scope === 'everything') await this.#sides.forget(this.#keys)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dropStream()
    await this.#sides[Symbol.asyncDispose]()
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
}
