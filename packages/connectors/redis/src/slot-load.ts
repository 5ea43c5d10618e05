/** The full load where slots are spread over servers: each shard of the source is read, and written where its keys belong. */
import type { Loaded } from '@replatform/core/connector'
import { openConnection } from './connection.ts'
import type { ControlKeys } from './control-keys.ts'
import { emptyPart } from './empty-part.ts'
import type { OpenStream } from './full-load.ts'
import { keySlot } from './key-slot.ts'
import { changeLibraries } from './library.ts'
import { writeFirstCheckpoint } from './part-store.ts'
import { PartWriter } from './part-writer.ts'
import { ReplicaLink } from './psync.ts'
import { loadSnapshot } from './rdb-load.ts'
import { readRdbVersion } from './rdb-version.ts'
import { type Part, type SlotLayout, slotsMoved } from './slot-layout.ts'
import type { Shard } from './topology.ts'

/** Shards whose snapshot is walked at once: one process has one processor for it. */
const shardsAtOnce = 2
const connections = 6
const spoolMemoryBytes = 16 * 1024 * 1024

export interface SlotLoadOptions {
  readonly layout: SlotLayout
  readonly epoch: number
  readonly signal: AbortSignal
  readonly progress: (loaded: Loaded) => Promise<void>
}

/** The link of a shard, and what was read of its stream behind the snapshot. */
export type SlotStream = Pick<OpenStream, 'link' | 'first'>

/** Empties the target first. The links, one for each shard of the source in turn, stay open. */
export async function loadShards(options: SlotLoadOptions): Promise<{ streams: SlotStream[]; loaded: Loaded }> {
  await using stack = new AsyncDisposableStack()
  const { layout, signal } = options
  await empty(options)
  const streams: SlotStream[] = []
  const sums = layout.sources.map(() => ({ rows: 0, bytes: 0 }))
  const sum = () => sums.reduce((a, b) => ({ rows: a.rows + b.rows, bytes: a.bytes + b.bytes }))
  const failed = new AbortController()
  const waiting = [...layout.sources.keys()]
  const work = async () => {
    for (let source = waiting.shift(); source !== undefined; source = waiting.shift()) {
      const loaded = await new ShardLoad({
        ...options,
        source,
        signal: AbortSignal.any([signal, failed.signal]),
        own: (link) => stack.use(link),
        progress: async (own) => {
          sums[source] = own
          await options.progress(sum())
        },
      }).run()
      streams[source] = loaded.stream
      sums[source] = loaded.loaded
    }
  }
  const workers = Array.from({ length: shardsAtOnce }, () => work().catch((thrown) => stop(failed, thrown)))
  await Promise.all(workers)
  if (failed.signal.aborted) throw failed.signal.reason
  signal.throwIfAborted()
  stack.move()
  return { streams, loaded: sum() }
}

/** The first failure is the one that counts. */
function stop(failed: AbortController, thrown: unknown): void {
  failed.abort(thrown)
}

/** Of what an earlier attempt left: first the checkpoints, so that it counts as not loaded from then on. */
async function empty({ layout, epoch }: SlotLoadOptions): Promise<void> {
  await Promise.all(
    layout.parts.map(async ({ url, slots }, part) => {
      await using writer = await openWriter(url, layout.keysOf(part), epoch)
      const buffer = writer.createBuffer(1024)
      for (const source of layout.sources.keys()) buffer.add(['DEL', layout.keysOf(part, source).checkpoint])
      await writer.commit(buffer)
      await emptyPart(writer, slots)
    }),
  )
}

interface ShardLoadOptions extends SlotLoadOptions {
  readonly source: number
  readonly own: (link: ReplicaLink) => ReplicaLink
}

class ShardLoad {
  readonly #options: ShardLoadOptions
  readonly #shard: Shard
  readonly #parts: readonly number[]

  constructor(options: ShardLoadOptions) {
    this.#options = options
    this.#shard = options.layout.sources[options.source] as Shard
    this.#parts = options.layout.partsOf(options.source)
  }

  async run(): Promise<{ stream: SlotStream; loaded: Loaded }> {
    const { layout, own, signal, progress } = this.#options
    await using stack = new AsyncDisposableStack()
    const memoryBytes = spoolMemoryBytes / layout.sources.length
    const link = own(await ReplicaLink.open({ url: this.#shard.url, after: null, memoryBytes }))
    const writers = await Promise.all(this.#parts.map((part) => this.#openWriters(part, stack)))
    const firsts = writers.map(([first]) => first as PartWriter)
    const versions = await Promise.all(
      firsts.map(({ target }, index) => readRdbVersion(target, layout.keysOf(this.#parts[index] as number).epoch)),
    )
    const { rows, bytes, rest } = await loadSnapshot({
      link,
      writers,
      partOf: (key) => this.#partOf(key),
      loadLibrary: async (code) => {
        await Promise.all(firsts.map(({ target }) => changeLibraries(target, ['FUNCTION', 'LOAD', code])))
      },
      onlyFirstDb: true,
      targetRdbVersion: Math.min(...versions),
      signal,
      progress,
    })
    await Promise.all(firsts.map((writer) => writeFirstCheckpoint(writer, link.start, { isLowered: false })))
    link.acknowledge(link.start.offset, true)
    return { stream: { link, first: rest.data.length > 0 ? rest : null }, loaded: { rows, bytes } }
  }

  async #openWriters(part: number, stack: AsyncDisposableStack): Promise<PartWriter[]> {
    const { layout, source, epoch } = this.#options
    const lanes = Math.max(Math.floor(connections / this.#parts.length), 1)
    const { url } = layout.parts[part] as Part
    const keys = layout.keysOf(part, source)
    return Promise.all(Array.from({ length: lanes }, async () => stack.use(await openWriter(url, keys, epoch))))
  }

  #partOf(key: Buffer): number {
    const slot = keySlot(key)
    if (!this.#shard.slots.has(slot)) {
      throw slotsMoved('A server of the source holds keys of slots that are another’s.')
    }
    return this.#parts.indexOf(this.#options.layout.partOfSlot(slot))
  }
}

export async function openWriter(url: string, keys: ControlKeys, epoch: number): Promise<PartWriter> {
  return new PartWriter({ target: await openConnection({ url, side: 'target' }), keys, epoch })
}
