import type { Table } from './catalog.ts'
import { type ComparePlan, digest } from './compare-plan.ts'
import { emptyTally, mostSamples, type Tally } from './merge-compare.ts'
import type { Session } from './session.ts'
import { ident } from './sql.ts'

/** Keys of one table as text, in the order of its key columns. */
export interface ChangedKeys {
  /** `schema.table`, unquoted. */
  readonly relation: string
  readonly keys: string[][]
}

interface Batch {
  readonly plan: ComparePlan
  readonly keys: readonly string[][]
  /** To go on with. */
  readonly tally?: Tally | undefined
}

/** Adds one batch of keys to a tally. Looks at each key as often as it is given. */
export async function compareChangedKeys(
  sides: { readonly source: Session; readonly target: Session },
  { plan, keys, tally = emptyTally() }: Batch,
): Promise<Tally> {
  const [onSource, onTarget] = await Promise.all([
    readDigests(sides.source, plan, plan.source, keys),
    readDigests(sides.target, plan, plan.target, keys),
  ])
  for (const i of keys.keys()) addKey(tally, onSource.get(i) ?? [], onTarget.get(i) ?? [])
  return tally
}

interface FoundRow {
  readonly digest: string
  readonly key: readonly string[]
}

/** A key is unique, unless the target lost its constraint: then rows pair off and the rest is extra. */
function addKey(tally: Tally, source: readonly FoundRow[], target: readonly FoundRow[]): void {
  tally.processed += source.length
  for (let n = 0; n < Math.max(source.length, target.length); n++) {
    const [a, b] = [source[n], target[n]]
    if (a && b && a.digest === b.digest) {
      tally.matching += 1
      continue
    }
    const kind = a && b ? 'mismatched' : a ? 'missing' : 'extra'
    tally[kind] += 1
    if (tally.samples.length < mostSamples) tally.samples.push({ kind, key: (a ?? b)?.key ?? [] })
  }
}

async function readDigests(
  session: Session,
  plan: ComparePlan,
  side: Table,
  keys: readonly string[][],
): Promise<Map<number, FoundRow[]>> {
  const arrays = plan.key.map((_, i) => keys.map((key) => key[i] ?? null))
  const places = plan.key.map((_, i) => `k${i}`)
  const match = plan.key.map(({ name }, i) => {
    const type = side.columns.find((column) => column.name === name)?.type ?? 'text'
    return `t.${ident(name)} = k.k${i}::${type}`
  })
  const { rows } = await session.query(
    `SELECT k.place - 1 AS place, ${digest(plan.columns)} AS digest
     FROM unnest(${places.map((_, i) => `$${i + 1}::text[]`).join(', ')}) WITH ORDINALITY AS k(${places.join(', ')}, place)
     JOIN ONLY ${side.qualified} AS t ON ${match.join(' AND ')}`,
    arrays,
  )
  const found = new Map<number, FoundRow[]>()
  for (const row of rows as { place: string; digest: string }[]) {
    const place = Number(row.place)
    const same = found.get(place) ?? []
    found.set(place, same)
    same.push({ digest: row.digest, key: keys[place] ?? [] })
  }
  return found
}
