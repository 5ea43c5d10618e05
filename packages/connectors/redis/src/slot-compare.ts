/** Compares shard by shard of the source with what the target holds of the same slots. */
import type { CompareResult } from '@replatform/core/difference'
import { type CompareKeysOptions, compareAllKeys, compareSomeKeys } from './compare.ts'
import { openConnection } from './connection.ts'
import type { Follower } from './follower.ts'
import { keySlot } from './key-slot.ts'
import { readServer } from './server-info.ts'
import type { Part, SlotLayout } from './slot-layout.ts'
import { SlotReader } from './slot-reader.ts'
import type { Shard } from './topology.ts'

export interface CompareShardsOptions extends Pick<CompareKeysOptions, 'signal' | 'report'> {
  readonly layout: SlotLayout
  /** By shard; none where nobody follows. */
  readonly followers: readonly Follower[]
  /** Null for all keys. */
  readonly changed: readonly Buffer[] | null
}

export async function compareShards(options: CompareShardsOptions): Promise<CompareResult[]> {
  const { layout, changed } = options
  const bySource = changed && Map.groupBy(changed, (key) => layout.sourceOf(key))
  const results: CompareResult[] = []
  for (const source of layout.sources.keys()) {
    results.push(...(await compareShard(options, source, bySource && (bySource.get(source) ?? []))))
  }
  return results
}

async function compareShard(
  { layout, followers, signal, report }: CompareShardsOptions,
  source: number,
  changed: readonly Buffer[] | null,
): Promise<CompareResult[]> {
  await using stack = new AsyncDisposableStack()
  const shard = layout.sources[source] as Shard
  const open = async (url: string, side: 'source' | 'target') => stack.use(await openConnection({ url, side }))
  const asked = await open(shard.url, 'source')
  const parts = layout.partsOf(source).map((part) => layout.parts[part] as Part)
  const targets = await Promise.all(
    parts.map(async ({ url, slots }) => ({ connection: await open(url, 'target'), slots })),
  )
  const within = shard.slots
  const { major } = await readServer(asked)
  const keyOptions: CompareKeysOptions = {
    source: new SlotReader({ servers: [{ connection: asked, slots: within }], within, hasDeadlines: major >= 7 }),
    target: new SlotReader({ servers: targets, within, hasDeadlines: true }),
    nameOf: () => `slots ${within}`,
    follower: followers[source] ?? null,
    signal,
    report,
  }
  if (!changed) return await compareAllKeys(keyOptions)
  const own = changed.filter((key) => within.has(keySlot(key)))
  return await compareSomeKeys(keyOptions, [{ db: 0, keys: own }])
}
