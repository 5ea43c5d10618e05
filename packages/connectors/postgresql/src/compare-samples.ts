/** Turns the first differences of a table into what a report may show: masked keys and names of columns, no values. */
import { createHmac, randomBytes } from 'node:crypto'
import type { Difference } from '@replatform/core/difference'
import type { Table } from './catalog.ts'
import { type ComparePlan, digest, type KeyColumn } from './compare-plan.ts'
import type { RawSample } from './merge-compare.ts'
import type { Session } from './session.ts'
import { ident } from './sql.ts'

interface Sides {
  readonly source: Session
  readonly target: Session
}

/** Reads both rows of each sample again. Must run in the transactions that the comparison ran in. */
export async function describeSamples(
  sides: Sides,
  plan: ComparePlan,
  samples: readonly RawSample[],
): Promise<Difference[]> {
  const described: Difference[] = []
  for (const { kind, key } of samples) {
    if (plan.key.length === 0) {
      described.push({
        kind,
        key: `row ${Buffer.from(key[0] ?? '')
          .toString('hex')
          .slice(0, 8)}`,
      })
      continue
    }
    const source = kind === 'extra' ? undefined : await readRow(sides.source, plan, plan.source, key)
    const target = kind === 'missing' ? undefined : await readRow(sides.target, plan, plan.target, key)
    const shown = maskKey(plan.key, (source ?? target)?.key ?? [])
    described.push({ kind, key: shown, ...(source && target ? { columns: differing(plan, source, target) } : {}) })
  }
  return described
}

interface SampledRow {
  readonly key: readonly string[]
  readonly digests: readonly string[]
}

/** The key goes back in the form that it came in: `pg` sends a buffer as binary. */
async function readRow(
  session: Session,
  plan: ComparePlan,
  side: Table,
  key: RawSample['key'],
): Promise<SampledRow | undefined> {
  const keys = plan.key.map(({ name }, i) => `t.${ident(name)}::text AS k${i}`)
  const digests = plan.columns.map((column, i) => `${digest([column])} AS d${i}`)
  const where = plan.key.map(({ name, isNative }, i) => {
    const type = side.columns.find((column) => column.name === name)?.type ?? 'text'
    return `t.${ident(name)} = $${i + 1}::${isNative ? type : `text::${type}`}`
  })
  const { rows } = await session.query(
    `SELECT ${[...keys, ...digests].join(', ')} FROM ONLY ${side.qualified} AS t WHERE ${where.join(' AND ')} LIMIT 1`,
    [...key],
  )
  const row = rows[0] as Record<string, string> | undefined
  if (!row) return undefined
  return {
    key: plan.key.map((_, i) => row[`k${i}`] ?? ''),
    digests: plan.columns.map((_, i) => row[`d${i}`] ?? ''),
  }
}

function differing(plan: ComparePlan, source: SampledRow, target: SampledRow): string[] {
  const columns = plan.columns.filter((_, i) => source.digests[i] !== target.digests[i])
  return [...columns.map((column) => column.name), ...plan.unpaired]
}

/** Integers and uuids are shown; whatever else a key is made of may be a person's. */
export function maskKey(columns: readonly Pick<KeyColumn, 'isPlain'>[], values: readonly string[]): string {
  const shown = values.map((value, i) => (columns[i]?.isPlain ? value : mask(value)))
  return shown.length === 1 ? (shown[0] as string) : `(${shown.join(', ')})`
}

/** Equal values look equal within one report; with the key gone nobody can try values against what was printed. */
const maskKeyBytes = randomBytes(32)

function mask(value: string): string {
  return `…${createHmac('sha256', maskKeyBytes).update(value).digest('hex').slice(0, 8)}`
}
