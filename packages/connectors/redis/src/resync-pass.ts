/** Looks at every key of both sides, for what no notification has told. */
import { type CompareResult, isEqual } from '@replatform/core/difference'
import { type CompareKeysOptions, compareAllKeys, compareSomeKeys } from './compare.ts'
import type { KeyCopier } from './key-copier.ts'

export type PassOptions = Omit<CompareKeysOptions, 'onDifferences' | 'repair'>

export interface RepairOptions extends PassOptions {
  /** For each lane. */
  readonly copiers: readonly KeyCopier[]
}

/** Beyond it all keys are looked at again instead of those that were repaired. */
const mostRemembered = 400_000

/**
 * Compares everything, copies what differs, and looks at that again: what the results then call different could not be
 * repaired. Both sides must be fenced, so that one look at each key is enough.
 */
export async function repairAll(options: RepairOptions): Promise<CompareResult[]> {
  const repaired = new Differing()
  let count = 0
  const repair = repairer(options)
  const onDifferences = async (db: number, keys: readonly Buffer[]) => {
    await repair(db, keys)
    count += keys.length
    if (count <= mostRemembered) await repaired.add(db, keys)
  }
  const first = await compareAllKeys({ ...options, onDifferences })
  if (first.every(isEqual)) return first
  const again = { ...options, report: undefined }
  const second = count > mostRemembered ? await compareAllKeys(again) : await compareSomeKeys(again, repaired.list())
  return first.map((result) =>
    afterRepair(
      result,
      second.find(({ name }) => name === result.name),
    ),
  )
}

/** Several pages find differences at once, and a copier does one thing at a time. */
function repairer({ keys: { laneOf }, copiers }: RepairOptions) {
  const last = copiers.map((): Promise<unknown> => Promise.resolve())
  return async (db: number, keys: readonly Buffer[]): Promise<void> => {
    const copies = [...Map.groupBy(keys, laneOf)].map(([lane = 0, own]) => {
      const copied = (last[lane] as Promise<unknown>).then(() => copiers[lane]?.copy(db, own))
      last[lane] = copied.catch(() => {})
      return copied
    })
    await Promise.all(copies)
  }
}

const looks = 10
const betweenLooksMs = 200

/** Compares everything while the source is written: what differs is looked at again until it was once equal. */
export async function compareSettled(options: PassOptions): Promise<CompareResult[]> {
  const differing = new Differing()
  const first = await compareAllKeys({ ...options, onDifferences: differing.add })
  let last: CompareResult[] = []
  let open = differing.list()
  for (let look = 0; look < looks && open.length > 0; look++) {
    await new Promise((resolve) => setTimeout(resolve, betweenLooksMs))
    const still = new Differing()
    last = await compareSomeKeys({ ...options, report: undefined, onDifferences: still.add }, open)
    open = still.list()
  }
  return first.map((result) =>
    settledOf(
      result,
      last.find(({ name }) => name === result.name),
    ),
  )
}

class Differing {
  readonly #keys = new Map<number, Buffer[]>()

  readonly add = async (db: number, keys: readonly Buffer[]): Promise<void> => {
    const known = this.#keys.get(db) ?? []
    for (const key of keys) known.push(key)
    this.#keys.set(db, known)
  }

  list(): { readonly db: number; readonly keys: readonly Buffer[] }[] {
    return [...this.#keys].map(([db, keys]) => ({ db, keys }))
  }
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
