/** Opens what copies keys of one shard of a flow's source, on connections of its own. */
import type { BatchWriter } from './batch-writer.ts'
import type { ByteBudget } from './byte-budget.ts'
import { openConnection } from './connection.ts'
import { EpochWriter } from './epoch-writer.ts'
import { type CopyOptions, type CopyTarget, KeyCopier } from './key-copier.ts'
import { openServerReader, openSlotReader } from './key-lanes.ts'
import type { KeyReader } from './key-reader.ts'
import { PartWriter } from './part-writer.ts'
import { readRdbVersion } from './rdb-version.ts'
import type { SlotLayout } from './slot-layout.ts'

export interface CopierOptions extends Pick<CopyOptions, 'deadline'> {
  readonly layout: SlotLayout
  /** The shard of the source. */
  readonly source: number
  readonly room: ByteBudget
  /** Raised for this. */
  readonly epoch: number
}

export interface OpenCopier extends AsyncDisposable {
  readonly copier: KeyCopier
  readonly source: KeyReader
}

export async function openCopier({ layout, source, room, epoch, deadline }: CopierOptions): Promise<OpenCopier> {
  await using stack = new AsyncDisposableStack()
  const { url, slots } = layout.source(source)
  const asked = stack.use(await openConnection({ url, side: 'source' }))
  const reader = layout.isSpread
    ? await openSlotReader([{ url, slots }], slots, async () => asked)
    : await openServerReader(asked)
  const target = stack.use(await openCopyTarget(layout, layout.partsOf(source), epoch))
  const copier = new KeyCopier({ source: reader, room, ...target, ...(deadline && { deadline }) })
  const all = stack.move()
  return { copier, source: reader, [Symbol.asyncDispose]: () => all.disposeAsync() }
}

/** A writer for each of these parts of the target. */
export async function openCopyTarget(
  layout: SlotLayout,
  parts: readonly number[],
  epoch: number,
): Promise<CopyTarget & AsyncDisposable> {
  await using stack = new AsyncDisposableStack()
  const writers: BatchWriter[] = []
  const versions: number[] = []
  for (const part of parts) {
    const target = await openConnection({ url: layout.part(part).url, side: 'target' })
    const options = { target, keys: layout.keysOf(part), epoch }
    writers.push(stack.use(layout.isSpread ? new PartWriter(options) : new EpochWriter(options)))
    // A new connection is in database 0.
    versions.push(await readRdbVersion(target, options.keys.epoch))
  }
  const at = new Map(parts.map((part, index) => [part, index]))
  const all = stack.move()
  return {
    writers,
    writerOf: (key) => at.get(layout.partOf(key)) ?? 0,
    targetRdbVersion: Math.min(...versions),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}
