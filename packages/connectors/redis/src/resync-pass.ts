/** Looks at every key of both sides, for what no notification has told. */
import { type CompareResult, isEqual } from '@replatform/core/difference'
import { type CompareKeysOptions, compareAllKeys, compareSomeKeys } from './compare.ts'
import type { KeyCopier } from './key-copier.ts'

export interface RepairOptions extends Omit<CompareKeysOptions, 'follower' | 'onDifferences'> {
  readonly copier: KeyCopier
}

/** Beyond it all keys are looked at again instead of those that were repaired. */
const mostRemembered = 400_000

/**
 * Compares everything, copies what differs, and looks at that again: what the results then call different could not be
 * repaired. Both sides must be fenced, so that one look at each key is enough.
 */
export async function repairAll(options: RepairOptions): Promise<CompareResult[]> {
  const repaired = new Map<number, Buffer[]>()
  let count = 0
  const onDifferences = async (db: number, keys: readonly Buffer[]) => {
    await options.copier.copy(db, keys)
    count += keys.length
    if (count > mostRemembered) return
    const known = repaired.get(db) ?? []
    for (const key of keys) known.push(key)
    repaired.set(db, known)
  }
  const first = await compareAllKeys({ ...options, follower: null, onDifferences })
  if (first.every(isEqual)) return first
  const again = { ...options, follower: null, report: undefined }
  const second =
    count > mostRemembered
      ? await compareAllKeys(again)
      : await compareSomeKeys(
          again,
          [...repaired].map(([db, keys]) => ({ db, keys })),
        )
  return first.map((result) =>
    afterRepair(
      result,
      second.find(({ name }) => name === result.name),
    ),
  )
}

const looks = 10
const betweenLooksMs = 200

/** Compares everything while the source is written: what differs is looked at again until it was once equal. */
export async function compareSettled(options: Omit<RepairOptions, 'copier'>): Promise<CompareResult[]> {
  const differing = new Map<number, readonly Buffer[]>()
  const first = await compareAllKeys({
    ...options,
    follower: null,
    onDifferences: async (db, keys) => void differing.set(db, [...(differing.get(db) ?? []), ...keys]),
  })
  let last: CompareResult[] = []
  let open = [...differing].map(([db, keys]) => ({ db, keys }))
  for (let look = 0; look < looks && open.length > 0; look++) {
    await new Promise((resolve) => setTimeout(resolve, betweenLooksMs))
    const still: { db: number; keys: readonly Buffer[] }[] = []
    const onDifferences = async (db: number, keys: readonly Buffer[]) => void still.push({ db, keys })
    last = await compareSomeKeys({ ...options, report: undefined, follower: null, onDifferences }, open)
    open = still
  }
  return first.map((result) =>
    settledOf(
      result,
      last.find(({ name }) => name === result.name),
    ),
  )
}

function settledOf(first: CompareResult, last: CompareResult | undefined): CompareResult {
  const { mismatched = 0, missing = 0, extra = 0, samples = [] } = last ?? {}
  const equal = first.mismatched + first.missing + first.extra - mismatched - missing - extra
  return { ...first, matching: first.matching + equal, mismatched, missing, extra, samples }
}

function afterRepair(first: CompareResult, second: CompareResult | undefined): CompareResult {
  const differing = first.mismatched + first.missing + first.extra
  const { mismatched = 0, missing = 0, extra = 0, samples = [] } = second ?? {}
  const repaired = differing - mismatched - missing - extra
  return { ...first, matching: first.matching + repaired, mismatched, missing, extra, samples, repaired }
}
