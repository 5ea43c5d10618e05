/**
 * Brings back what a target has let lapse while its deadlines were lowered: after a cutover that was aborted, and after
 * a rollback. A key that the source has renewed meanwhile is gone there, and the renewal, when it arrives, finds
 * nothing.
 */
import type { BatchWriter } from './batch-writer.ts'
import { compareAllKeys } from './compare.ts'
import { openConnection } from './connection.ts'
import { lifted } from './deadline.ts'
import type { Follower } from './follower.ts'
import { addCopy } from './key-copier.ts'
import { openLanes } from './key-lanes.ts'
import { openCopyTarget } from './open-copier.ts'
import type { SlotLayout } from './slot-layout.ts'

export interface LapsedKeysOptions {
  readonly layout: SlotLayout
  readonly epoch: number
  /** By shard of the source; they run meanwhile. */
  readonly followers: readonly Follower[]
  readonly signal: AbortSignal
}

/** Resolves with how many keys were brought back; then the checkpoints no longer ask for it. */
export async function bringBackLapsed({ layout, epoch, followers, signal }: LapsedKeysOptions): Promise<number> {
  await using keys = await openLanes(layout, { followers })
  await using copies = await openCopyTarget(layout, [...layout.parts.keys()], epoch)
  const results = await compareAllKeys({
    keys,
    signal,
    report: undefined,
    repair: async (db, key, ours) => {
      // A key too many did not come from a deadline: comparisons go on telling it.
      if (ours.payload === null) return false
      const writer = copies.writers[copies.writerOf(key)] as BatchWriter
      const buffer = writer.createBuffer(64 * 1024)
      buffer.add(['SELECT', db])
      addCopy(buffer, key, ours, { targetRdbVersion: copies.targetRdbVersion, deadline: lifted })
      await writer.commit(buffer)
      return true
    },
  })
  await forgetLapse(layout)
  return results.reduce((sum, { repaired = 0 }) => sum + repaired, 0)
}

async function forgetLapse(layout: SlotLayout): Promise<void> {
  for (const [part, { url }] of layout.parts.entries()) {
    await using target = await openConnection({ url, side: 'target' })
    for (const source of layout.sources.keys()) {
      if (!layout.partsOf(source).includes(part)) continue
      await target.command('HDEL', layout.keysOf(part, source).checkpoint, 'lapsed')
    }
  }
}
