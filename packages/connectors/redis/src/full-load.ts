/** The one chunk of a flow whose stream carries the data: it is loaded whole, or again from its beginning. */
import type { Loaded, LoadGroup } from '@replatform/core/connector'
import { CommandBuffer } from './command-buffer.ts'
import { type Connection, openConnection } from './connection.ts'
import type { ControlKeys } from './control-keys.ts'
import { EpochWriter } from './epoch-writer.ts'
import { type Checkpoint, writeCheckpoint } from './flow-store.ts'
import { ReplicaLink } from './psync.ts'
import { loadSnapshot } from './rdb-load.ts'
import { readRdbVersion } from './rdb-version.ts'
import { readInfo, readKeyspace } from './server-info.ts'
import type { Piece } from './spool.ts'

/** Connections that write at once. */
const lanes = 4
/** A snapshot takes about this part of the memory that its keys take. */
const packing = 0.25

export interface FullLoadOptions {
  readonly sourceUrl: string
  readonly targetUrl: string
  readonly keys: ControlKeys
  readonly epoch: number
  readonly signal: AbortSignal
  readonly progress: (loaded: Loaded) => Promise<void>
}

/** A link whose snapshot is on the target, and what of its stream was read already. */
export interface OpenStream {
  readonly link: ReplicaLink
  readonly first: Piece | null
  readonly checkpoint: Checkpoint
}

export async function readGroup(source: Connection, isDone: boolean): Promise<LoadGroup> {
  const keyspace = await readKeyspace(source)
  const memory = await readInfo(source, 'memory')
  const rows = [...keyspace.values()].reduce((sum, keys) => sum + keys, 0)
  const bytes = Math.round(Number(memory.get('used_memory_dataset') ?? 0) * packing)
  const done = isDone ? { chunks: 1, rows, bytes } : { chunks: 0, rows: 0, bytes: 0 }
  return { name: 'keys', rows, bytes, chunks: 1, done }
}

/**
 * Empties the target of what an earlier attempt left, loads the snapshot and records where the stream begins: with the
 * record the chunk is done. The link stays open and keeps what comes behind the snapshot.
 */
export async function loadAll(
  options: FullLoadOptions,
): Promise<{ readonly stream: OpenStream; readonly loaded: Loaded }> {
  const { sourceUrl, targetUrl, keys, epoch, signal } = options
  const link = await ReplicaLink.open({ url: sourceUrl, after: null })
  const writers: EpochWriter[] = []
  try {
    for (let i = 0; i < lanes; i++) {
      writers.push(new EpochWriter({ target: await openConnection({ url: targetUrl, side: 'target' }), keys, epoch }))
    }
    const [writer] = writers as [EpochWriter]
    await using probe = await openConnection({ url: targetUrl, side: 'target' })
    await commitOne(writer, (buffer) => {
      buffer.add(['FLUSHALL'])
      buffer.add(['SET', keys.epoch, epoch])
    })
    const targetRdbVersion = await readRdbVersion(probe, keys.epoch)
    const { rows, bytes, rest } = await loadSnapshot({
      link,
      writers: [writers],
      partOf: () => 0,
      targetRdbVersion,
      signal,
      progress: options.progress,
    })
    const checkpoint = { point: link.start, db: 0, isLowered: false, broken: null }
    await commitOne(writer, (buffer) => writeCheckpoint(buffer, keys, checkpoint))
    link.acknowledge(link.start.offset, true)
    return { stream: { link, first: rest.data.length > 0 ? rest : null, checkpoint }, loaded: { rows, bytes } }
  } catch (thrown) {
    await link[Symbol.asyncDispose]()
    throw thrown
  } finally {
    for (const writer of writers) await writer[Symbol.asyncDispose]()
  }
}

async function commitOne(writer: EpochWriter, fill: (buffer: CommandBuffer) => void): Promise<void> {
  const buffer = new CommandBuffer(1024)
  fill(buffer)
  await writer.commit(buffer)
}
