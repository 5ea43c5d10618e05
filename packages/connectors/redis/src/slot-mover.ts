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
import type { Finding } from '@replatform/core/finding'
import type { Side } from '@replatform/core/move'
import { position } from '@replatform/core/position'
import { aborted } from './aborted.ts'
import { assessSlots } from './assess-slots.ts'
import { ChangedKeys } from './changed-keys.ts'
import type { Connection } from './connection.ts'
import { sweepDeadlines } from './deadline-sweep.ts'
import { fenceSide, requireFenced, unfenceSide } from './fence.ts'
import { formatPoint, parsePoint } from './flow-store.ts'
import { NodePool } from './node-pool.ts'
import { raisePartEpochs, readPartCheckpoint } from './part-store.ts'
import type { ReplicationPoint } from './psync.ts'
import { historyOf, offsetOf, readInfo, readServer } from './server-info.ts'
import { compareShards } from './slot-compare.ts'
import { SlotFollowing } from './slot-follow.ts'
import { SlotLayout } from './slot-layout.ts'
import { loadShards, type SlotStream } from './slot-load.ts'
import { readTopology, type Topology } from './topology.ts'

const unhurriedMs = 10_000
const onlyChunk = 'snapshot'

export class SlotMover implements Mover {
  readonly #open: OpenOptions
  readonly #nodes: Readonly<Record<Side, NodePool>> = { source: new NodePool('source'), target: new NodePool('target') }
  readonly #changed = new ChangedKeys()
  #streams: readonly SlotStream[] = []
  #following: SlotFollowing | null = null

  constructor(open: OpenOptions) {
    this.#open = open
  }

  async assess(): Promise<Finding[]> {
    const [source, target] = await Promise.all([this.#topology('source'), this.#topology('target')])
    return assessSlots({ open: this.#open, nodes: this.#nodes, source, target })
  }

  async prepare({ load }: { readonly load: boolean }): Promise<void> {
    if (!load) return
    const layout = await this.#layout()
    await this.#requireOurs(layout)
    await this.#fence('target', unhurriedMs)
    await this.#raise(layout)
  }

  async groups(): Promise<LoadGroup[]> {
    const layout = await this.#layout()
    const isDone = await this.#isLoaded(layout)
    const sizes = await this.#nodes.source.each(urlsOf(layout.sources), async (node) => ({
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
    if (!(await this.#isLoaded(await this.#layout()))) yield { id: onlyChunk, group: 'keys', bytes: 0 }
  }

  async load(
    _chunk: Chunk,
    signal: AbortSignal,
    progress: (loaded: Loaded) => Promise<void> = async () => {},
  ): Promise<Loaded> {
    await this.#dropStreams()
    const layout = await this.#layout()
    const epoch = await this.#raise(layout)
    const { streams, loaded } = await loadShards({ layout, epoch, signal, progress })
    this.#streams = streams
    return loaded
  }

  async finishLoad(): Promise<void> {}

  async follow(options: FollowOptions): Promise<void> {
    if (this.#following) throw new ReplatformError('usage', { message: 'The mover follows already.' })
    if (this.#open.direction === 'reverse') return aborted(options.signal)
    const streams = this.#streams
    this.#streams = []
    const layout = await this.#layout()
    const epoch = await this.#raise(layout)
    await using following = await SlotFollowing.open({ layout, epoch, changed: this.#changed, streams })
    this.#following = following
    try {
      await following.run(options)
    } finally {
      this.#following = null
    }
  }

  async raiseEpoch(): Promise<void> {
    await this.#raise(await this.#layout())
  }

  fence(side: Side, { withinMs }: { readonly withinMs: number }): Promise<void> {
    return this.#fence(side, withinMs)
  }

  async unfence(side: Side): Promise<void> {
    const { move, log } = this.#open
    const urls = allUrls(await this.#topology(side))
    await this.#nodes[side].each(urls, (connection) => unfenceSide({ connection, move, log }))
  }

  async barrier(): Promise<Barrier> {
    this.#requireForward()
    const topology = await this.#topology('source')
    await this.#nodes.source.each(allUrls(topology), requireFenced)
    const ends = await this.#nodes.source.each(urlsOf(topology.shards), readEnd)
    const at = new Date(Math.max(...ends.map(({ nowMs }) => nowMs))).toISOString()
    return { position: position(ends.map(({ point }) => formatPoint(point)).join(',')), at }
  }

  async remaining(barrier: Barrier): Promise<Remaining> {
    const layout = await this.#layout()
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
    this.#requireForward()
    const startedAt = performance.now()
    const layout = await this.#layout()
    const changed = scope === 'changed' ? (this.#changed.list()?.flatMap(({ keys }) => keys) ?? null) : null
    const followers = at === 'live' ? (this.#following?.followers ?? []) : []
    this.#changed.begin()
    try {
      const results = await compareShards({ layout, followers, changed, signal, report })
      const equal = results.every(isEqual)
      if (!equal) this.#changed.giveUp()
      const ends = await this.#nodes.source.each(urlsOf(layout.sources), readEnd)
      const end = position(ends.map(({ point }) => formatPoint(point)).join(','))
      return { scope, at: end, equal, seconds: (performance.now() - startedAt) / 1_000, results }
    } catch (thrown) {
      this.#changed.giveUp()
      throw thrown
    }
  }

  /** Gives every key its own deadline, after a last look at the fence of every server. */
  async settle(): Promise<void> {
    const layout = await this.#layout()
    await this.#nodes.source.each(allUrls(await this.#topology('source')), requireFenced)
    if (!this.#isManaged('target')) {
      await this.#nodes.target.each(allUrls(await this.#topology('target')), requireFenced)
    }
    for (const source of layout.sources.keys()) await this.#checkpointsOf(layout, source)
    const epoch = await this.#raise(layout)
    await this.#nodes.target.each(urlsOf(layout.parts), async (target, part) => {
      for (const source of layout.sources.keys()) {
        if (!layout.partsOf(source).includes(part)) continue
        await target.command('HSET', layout.keysOf(part, source).checkpoint, 'lowered', 1)
      }
      await sweepDeadlines({ target, keys: layout.keysOf(part), epoch }, 'lower')
    })
  }

  async markStart(): Promise<void> {}

  async recordDecision({ id, outcome, at }: Decision): Promise<void> {
    const layout = await this.#layout()
    await this.#nodes.target.each(urlsOf(layout.parts), (target, part) =>
      target.command('HSETNX', layout.keysOf(part).decisions, id, `${outcome} ${at}`),
    )
  }

  async cleanUp(scope: 'stream' | 'everything'): Promise<void> {
    await this.#dropStreams()
    if (scope === 'stream') return
    const layout = await this.#layout()
    await this.#nodes.target.each(urlsOf(layout.parts), async (target, part) => {
      const keys = [...layout.sources.keys()].map((source) => layout.keysOf(part, source).checkpoint)
      const { epoch, decisions } = layout.keysOf(part)
      await target.command('DEL', epoch, decisions, ...keys)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dropStreams()
    await this.#nodes.source[Symbol.asyncDispose]()
    await this.#nodes.target[Symbol.asyncDispose]()
  }

  async #dropStreams(): Promise<void> {
    const streams = this.#streams
    this.#streams = []
    for (const { link } of streams) await link[Symbol.asyncDispose]()
  }

  /** Read anew each time: a failover gives slots another server, and that is where to go on. */
  async #layout(): Promise<SlotLayout> {
    const [source, target] = await Promise.all([this.#topology('source'), this.#topology('target')])
    const { move, direction } = this.#open
    return new SlotLayout({ move, direction }, source, target)
  }

  #topology(side: Side): Promise<Topology> {
    const { url } = this.#open[side]
    return this.#nodes[side].use(url, (connection) => readTopology(connection, url))
  }

  async #raise(layout: SlotLayout): Promise<number> {
    const targets: Connection[] = []
    await this.#nodes.target.each(urlsOf(layout.parts), async (target, part) => {
      targets[part] = target
    })
    return raisePartEpochs(targets.map((target, part) => ({ target, keys: layout.keysOf(part) })))
  }

  async #isLoaded(layout: SlotLayout): Promise<boolean> {
    const found = await this.#nodes.target.each(urlsOf(layout.parts), async (target, part) => {
      const own = [...layout.sources.keys()].filter((source) => layout.partsOf(source).includes(part))
      const exist = own.map((source) => target.command('EXISTS', layout.keysOf(part, source).checkpoint))
      return (await Promise.all(exist)).every((reply) => reply === 1)
    })
    return found.every(Boolean)
  }

  async #checkpointsOf(layout: SlotLayout, source: number) {
    const parts = layout.partsOf(source)
    const urls = parts.map((part) => layout.parts[part]?.url ?? '')
    return this.#nodes.target.each(urls, async (target, index) => {
      const checkpoint = await readPartCheckpoint(target, layout.keysOf(parts[index] as number, source))
      if (checkpoint) return checkpoint
      throw new ReplatformError('redis.slots-moved', {
        message: `The target has no checkpoint for slots ${layout.sources[source]?.slots} of the source.`,
      })
    })
  }

  async #requireOurs(layout: SlotLayout): Promise<void> {
    const held = await this.#nodes.target.each(urlsOf(layout.parts), async (target, part) => {
      const isOurs = (await target.command('EXISTS', layout.keysOf(part).epoch)) === 1
      return isOurs ? 0 : Number(await target.command('DBSIZE'))
    })
    const keys = held.reduce((sum, count) => sum + count, 0)
    if (keys === 0) return
    throw new ReplatformError('target.not-empty', {
      message: `The target holds ${keys} keys that this move did not create.`,
    })
  }

  /** Every server, replicas too: one that takes over must be as closed as the one before. */
  async #fence(side: Side, withinMs: number): Promise<void> {
    const { move, log } = this.#open
    if (this.#isManaged(side)) {
      log.warn({ move }, 'ElastiCache is not fenced by its users: its user group must admit only the mover.')
      return
    }
    try {
      const urls = allUrls(await this.#topology(side))
      await this.#nodes[side].each(urls, (connection) => fenceSide({ connection, move, withinMs, log }))
    } catch (thrown) {
      await this.unfence(side).catch(() => {})
      throw thrown
    }
  }

  #isManaged(side: Side): boolean {
    return this.#open[side].service === 'elasticache'
  }

  #requireForward(): void {
    if (this.#open.direction === 'forward') return
    throw new ReplatformError('redis.no-way-back', { message: 'There is no way back from or to a cluster yet.' })
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

function urlsOf(owners: readonly { readonly url: string }[]): string[] {
  return owners.map(({ url }) => url)
}

function allUrls({ shards }: Topology): string[] {
  return shards.flatMap(({ url, replicas }) => [url, ...replicas])
}
