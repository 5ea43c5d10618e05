/** Compares shard by shard of the source with what the target holds of the same slots. */
import type { CompareResult } from '@replatform/core/difference'
import { type CompareKeysOptions, compareAllKeys, compareSomeKeys } from './compare.ts'
import type { Follower } from './follower.ts'
import { openLanes } from './key-lanes.ts'
import type { SlotLayout } from './slot-layout.ts'

export interface CompareShardsOptions extends Pick<CompareKeysOptions, 'signal' | 'report'> {
  readonly layout: SlotLayout
  /** By shard; none where nobody follows. */
  readonly followers: readonly Follower[]
  /** Null for all keys. */
  readonly changed: readonly Buffer[] | null
}

export async function compareShards({
  layout,
  followers,
  changed,
  signal,
  report,
}: CompareShardsOptions): Promise<CompareResult[]> {
  await using keys = await openLanes(layout, { followers })
  const options = { keys, signal, report }
  return changed ? await compareSomeKeys(options, [{ db: 0, keys: changed }]) : await compareAllKeys(options)
}
