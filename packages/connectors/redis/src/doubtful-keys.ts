/**
 * Puts right what a target may have wrong about deadlines.
 *
 * While they were lowered (after a cutover that was aborted, and after a rollback) it has let keys lapse; one that the
 * source has renewed meanwhile is gone there, and the renewal, when it arrives, finds nothing.
 *
 * A source before 7.0 replicates how long a key is to live. What it has told while the mover was away is carried out
 * that much later, and the key would live that much longer.
 */
import type { Log } from '@replatform/core/connector'
import type { BatchWriter } from './batch-writer.ts'
import type { ChangedKeys } from './changed-keys.ts'
import { type CompareKeysOptions, compareAllKeys, compareSomeKeys } from './compare.ts'
import { openConnection } from './connection.ts'
import { lifted } from './deadline.ts'
import type { Follower } from './follower.ts'
import { addCopy } from './key-copier.ts'
import { openLanes } from './key-lanes.ts'
import { openCopyTarget } from './open-copier.ts'
import type { SlotLayout } from './slot-layout.ts'

/**
 * `everything`: keys may have lapsed on the target that the source had renewed. `late`: a source before 7.0 told how long
 * keys live, not until when, and it told it while nobody listened: what is written up to `until`, an offset for each
 * shard of the source, may live too long.
 */
export type Doubt = 'everything' | { readonly until: readonly number[]; readonly late: ChangedKeys }

export interface DoubtfulKeysOptions {
  readonly layout: SlotLayout
  readonly epoch: number
  /** By shard of the source; they run meanwhile. */
  readonly followers: readonly Follower[]
  readonly doubt: Doubt
  readonly signal: AbortSignal
}

/** Its failure ends nothing: comparisons tell what is missing, and the next run tries again. */
export async function settleBeside(options: DoubtfulKeysOptions & { readonly log: Log; readonly move: string }) {
  const { log, move, signal } = options
  try {
    const keys = await settleDoubt(options)
    log.info({ move, keys }, 'Keys whose deadlines were in doubt were looked at, and put right.')
  } catch (thrown) {
    if (!signal.aborted)
      log.warn({ move, err: thrown }, 'Keys whose deadlines are in doubt were not looked at to the end.')
  }
}

/** Resolves with how many keys were put right; then the checkpoints no longer ask for it. */
async function settleDoubt(options: DoubtfulKeysOptions): Promise<number> {
  const { layout, epoch, followers, signal } = options
  await using keys = await openLanes(layout, { followers })
  await using copies = await openCopyTarget(layout, [...layout.parts.keys()], epoch)
  const comparison: CompareKeysOptions = {
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
  }
  const late = await readLate(options)
  const results = late ? await compareSomeKeys(comparison, late) : await compareAllKeys(comparison)
  await forgetDoubt(layout)
  return results.reduce((sum, { repaired = 0 }) => sum + repaired, 0)
}

/** Null where everything must be looked at. */
async function readLate({ doubt, followers, signal }: DoubtfulKeysOptions): Promise<ReturnType<ChangedKeys['list']>> {
  if (doubt === 'everything') return null
  await Promise.all(followers.map((follower, source) => follower.reached(doubt.until[source] ?? 0)))
  signal.throwIfAborted()
  const late = doubt.late.list()
  doubt.late.giveUp()
  return late
}

async function forgetDoubt(layout: SlotLayout): Promise<void> {
  for (const [part, { url }] of layout.parts.entries()) {
    await using target = await openConnection({ url, side: 'target' })
    for (const source of layout.sources.keys()) {
      if (!layout.partsOf(source).includes(part)) continue
      await target.command('HDEL', layout.keysOf(part, source).checkpoint, 'lapsed')
    }
  }
}
