/** The contract's verbs where slots are spread over servers: a cluster on one side, or on both. */
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
import { position } from '@replatform/core/position'
import { assessSlots } from './assess-slots.ts'
import { beginShardsAgain } from './begin-shards-again.ts'
import { ChangedKeys, KeyRecorders } from './changed-keys.ts'
import type { Connection } from './connection.ts'
import { settleBeside } from './doubtful-keys.ts'
import { type EachPart, EarlyDeadlines } from './early-deadlines.ts'
import { FlowSides } from './flow-sides.ts'
import { formatPoint, parsePoint } from './flow-store.ts'
import { readPartCheckpoint } from './part-store.ts'
import type { ReplicationPoint } from './psync.ts'
import { ensureBacklog } from './replication-backlog.ts'
import { historyOf, offsetOf, readInfo, readServer } from './server-info.ts'
import { compareShards } from './slot-compare.ts'
import { SlotFollowing } from './slot-follow.ts'
import type { SlotLayout } from './slot-layout.ts'
import { loadShards, type SlotStream } from './slot-load.ts'
import { urlsOf } from './topology.ts'

const onlyChunk = 'snapshot'

export class SlotMover implements Mover {
  readonly #open: OpenOptions
  readonly #sides: FlowSides
  readonly #changed = new ChangedKeys()
  readonly #early: EarlyDeadlines
  #streams: readonly SlotStream[] = []
  /** Beside following. */
  #settlingDoubt: Promise<void> = Promise.resolve()
  #following: (Pick<SlotFollowing, 'followers'> & { readonly epoch: number }) | null = null

  constructor(open: OpenOptions) {
    this.#open = open
    this.#sides = new FlowSides(open)
    this.#early = new EarlyDeadlines(open.log)
  }

  async assess(): Promise<Finding[]> {
    const [source, target] = await Promise.all([this.#sides.topology('source'), this.#sides.topology('target')])
    return assessSlots({ open: this.#open, nodes: this.#sides, source, target })
  }

  async prepare({ load }: { readonly load: boolean }): Promise<void> {
    if (load) return this.#sides.takeTarget()
    const { shards } = await this.#sides.topology('source')
    await this.#sides.source.each(urlsOf(shards), (source, index) => ensureBacklog(source, shards[index]?.url ?? ''))
  }

  async groups(): Promise<LoadGroup[]> {
    const layout = await this.#sides.layout()
    const isDone = await this.#isLoaded(layout)
    const sizes = await this.#sides.source.each(urlsOf(layout.sources), async (node) => ({
      rows: Number(await node.command('DBSIZE')),
      bytes: Number((await readInfo(node, 'memory')).get('used_memory_dataset') ?? 0),
    }))
    const rows = sizes.reduce((sum, size) => sum + size.rows, 0)
    // A snapshot takes about this part of the memory that its keys take.
    const bytes = Math.round(sizes.reduce((sum, size) => sum + size.bytes, 0) * 0.25)
    const done = isDone ? { chunks: 1, rows, bytes } : { chunks: 0, rows: 0, bytes: 0 }
    return [{ name: 'keys', rows, bytes, chunks: 1, done }]
  }

  async *chunks(): AsyncIterable<Chunk> {
    if (!(await this.#isLoaded(await this.#sides.layout()))) yield { id: onlyChunk, group: 'keys', bytes: 0 }
  }

  async load(
    _chunk: Chunk,
    signal: AbortSignal,
    progress: (loaded: Loaded) => Promise<void> = async () => {},
  ): Promise<Loaded> {
    await this.#dropStreams()
    const layout = await this.#sides.layout()
    const epoch = await this.#sides.raise(layout)
    const { streams, loaded } = await loadShards({ layout, epoch, signal, progress })
    this.#streams = streams
    return loaded
  }

  async finishLoad(): Promise<void> {}

  async follow(options: FollowOptions): Promise<void> {
    if (this.#following) throw new ReplatformError('usage', { message: 'The mover follows already.' })
    const streams = this.#streams
    this.#streams = []
    const layout = await this.#sides.layout()
    const epoch = await this.#sides.raise(layout)
    this.#early.forget()
    const changed = new KeyRecorders([this.#changed, this.#early.noted])
    await using following = await SlotFollowing.open({ layout, epoch, changed, streams })
    const { followers, doubt } = following
    this.#following = { followers, epoch }
    const ended = new AbortController()
    if (doubt) {
      const { move, log } = this.#open
      const signal = AbortSignal.any([options.signal, ended.signal])
      this.#settlingDoubt = settleBeside({ layout, epoch, followers, doubt, signal, log, move })
    }
    try {
      await following.run(options)
    } finally {
      this.#following = null
      ended.abort()
      await this.#early.end()
      await this.#settlingDoubt
    }
  }

  async strain(): Promise<null> {
    return null
  }

  async raiseEpoch(): Promise<void> {
    await this.#sides.raise(await this.#sides.layout())
  }

  fence(side: Side, limits: FenceLimits): Promise<void> {
    return this.#sides.fence(side, limits)
  }

  unfence(side: Side, turn: Pick<FenceLimits, 'turn'>): Promise<void> {
    return this.#sides.unfence(side, turn)
  }

  async barrier(): Promise<Barrier> {
    await this.#sides.requireFenced('source')
    const { shards } = await this.#sides.topology('source')
    const ends = await this.#sides.source.each(urlsOf(shards), readEnd)
    const at = new Date(Math.max(...ends.map(({ nowMs }) => nowMs))).toISOString()
    return { position: position(ends.map(({ point }) => formatPoint(point)).join(',')), at }
  }

  async remaining(barrier: Barrier): Promise<Remaining> {
    const layout = await this.#sides.layout()
    const ends = barrier.position.split(',').map((text) => parsePoint(position(text)))
    let count = 0
    for (const [source, end] of ends.entries()) {
      for (const { replid, place } of await this.#checkpointsOf(layout, source)) {
        if (replid !== end.replid) throw otherHistory()
        count += Math.max(end.offset - place.offset, 0)
      }
    }
    return { count, unit: 'bytes', exact: true }
  }

  async compare({ scope, at, signal, report }: CompareOptions): Promise<CompareReport> {
    const startedAt = performance.now()
    const layout = await this.#sides.layout()
    // Both hold the followers: one at a time.
    await this.#settlingDoubt
    const changed = scope === 'changed' ? (this.#changed.list()?.flatMap(({ keys }) => keys) ?? null) : null
    const followers = at === 'live' ? (this.#following?.followers ?? []) : []
    this.#changed.begin()
    try {
      const results = await compareShards({ layout, followers, changed, signal, report })
      const equal = results.every(isEqual)
      if (!equal) this.#changed.giveUp()
      const ends = await this.#sides.source.each(urlsOf(layout.sources), readEnd)
      const end = position(ends.map(({ point }) => formatPoint(point)).join(','))
      return { scope, at: end, equal, seconds: (performance.now() - startedAt) / 1_000, results }
    } catch (thrown) {
      this.#changed.giveUp()
      throw thrown
    }
  }

  /** Gives every key its own deadline, after a last look at the fence of every server. */
  async settle(): Promise<void> {
    const layout = await this.#sides.layout()
    await this.#sides.requireFenced('source')
    await this.#sides.requireFenced('target')
    for (const source of layout.sources.keys()) await this.#checkpointsOf(layout, source)
    const epoch = await this.#sides.raise(layout)
    const eachPart = this.#eachPart(layout, epoch)
    await eachPart(async ({ target, checkpoints }) => {
      for (const checkpoint of checkpoints) await target.command('HSET', checkpoint, 'lowered', 1)
    })
    await this.#early.settle(eachPart)
  }

  async settleAhead(options: { readonly pauseMs: number }): Promise<void> {
    // It lifts keys without a note of them.
    await this.#settlingDoubt
    const epoch = this.#following?.epoch
    if (epoch !== undefined) await this.#early.begin(this.#eachPart(await this.#sides.layout(), epoch), options)
  }

  #eachPart(layout: SlotLayout, epoch: number): EachPart {
    return async (work) => {
      await this.#sides.target.each(urlsOf(layout.parts), (target, part) => {
        const sources = [...layout.sources.keys()].filter((source) => layout.partsOf(source).includes(part))
        const checkpoints = sources.map((source) => layout.keysOf(part, source).checkpoint)
        const holds = (key: Buffer) => layout.partOf(key) === part
        return work({ target, keys: layout.keysOf(part), epoch, checkpoints, holds })
      })
    }
  }

  /** After a rollback: the new side has what the old one has, and follows from there on with its deadlines lowered. */
  async markStart(): Promise<void> {
    await this.#dropStreams()
    this.#changed.giveUp()
    const layout = await this.#sides.layout()
    this.#streams = await beginShardsAgain(layout, await this.#sides.raise(layout))
  }

  recordDecision(decision: Decision): Promise<void> {
    return this.#sides.recordDecision(decision)
  }

  async cleanUp(scope: 'stream' | 'everything'): Promise<void> {
    await this.#dropStreams()
    if (scope === 'everything') await this.#sides.forget()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dropStreams()
    await this.#sides[Symbol.asyncDispose]()
  }

  async #dropStreams(): Promise<void> {
    const streams = this.#streams
    this.#streams = []
    for (const { link } of streams) await link[Symbol.asyncDispose]()
  }

  async #isLoaded(layout: SlotLayout): Promise<boolean> {
    const found = await this.#sides.target.each(urlsOf(layout.parts), async (target, part) => {
      const own = [...layout.sources.keys()].filter((source) => layout.partsOf(source).includes(part))
      const exist = own.map((source) => target.command('EXISTS', layout.keysOf(part, source).checkpoint))
      return (await Promise.all(exist)).every((reply) => reply === 1)
    })
    return found.every(Boolean)
  }

  async #checkpointsOf(layout: SlotLayout, source: number) {
    const parts = layout.partsOf(source)
    const urls = parts.map((part) => layout.part(part).url)
    return this.#sides.target.each(urls, async (target, index) => {
      const checkpoint = await readPartCheckpoint(target, layout.keysOf(parts[index] as number, source))
      if (checkpoint) return checkpoint
      throw new ReplatformError('redis.slots-moved', {
        message: `The target has no checkpoint for slots ${layout.sources[source]?.slots} of the source.`,
      })
    })
  }
}

async function readEnd(source: Connection): Promise<{ point: ReplicationPoint; nowMs: number }> {
  const server = await readServer(source)
  const [seconds] = (await source.command('TIME')) as Buffer[]
  const point = { replid: historyOf(server), offset: offsetOf(server.fields) }
  return { point, nowMs: Number(String(seconds)) * 1000 }
}

function otherHistory(): ReplatformError {
  return new ReplatformError('redis.moved', {
    message: 'Another server of the source has taken over since the target was written last.',
  })
}
