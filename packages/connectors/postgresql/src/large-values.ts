/**
 * Values larger than what is tried, and rows that the source itself cannot send when they change. The server keeps the
 * length of a large value beside its place, so that it is read without the value; only the tables' own pages are gone
 * through.
 */
import { evidence, type Finding } from '@replatform/core/finding'
import type { Table } from './catalog.ts'
import type { Session } from './session.ts'
import { ident } from './sql.ts'

/** What `large-changes.test.ts` moves. */
const triedMegabytes = 200
/** A server builds each message in one buffer of at most 1 GB. */
const messageMegabytesMost = 1_023
/** Values compress to a hundredth at best: with less than this beside its pages a table has none that is too large. */
const asideBytesLeast = 2 * 1024 * 1024
const tableWithinMs = 3_000

/** By object id: what a byte of the value takes as text. Other types do not tell their length without being read. */
const textBytes: ReadonlyMap<number, number> = new Map([
  [17, 2], // bytea
  [25, 1], // text
  [1042, 1], // bpchar
  [1043, 1], // varchar
])

interface Looked {
  readonly large: readonly string[]
  /** Of which the source cannot send a change. */
  readonly unsendable: readonly string[]
  /** Too large to be gone through in passing. */
  readonly unseen: readonly string[]
}

/** Inside a transaction, which it leaves as it was. */
export async function largeValueFindings(source: Session, tables: readonly Table[]): Promise<Finding[]> {
  const { large, unsendable, unseen } = await lookForLargeValues(source, tables)
  const findings: Finding[] = []
  if (large.length > 0) {
    findings.push({
      id: 'postgresql.large-value',
      severity: 'note',
      title: `${counted(large)} values of more than ${triedMegabytes} MB, which is what is tried. They pass, but when one changes the mover sets it aside on its own disk meanwhile.`,
      evidence: evidence(large),
      remedy:
        'Give the machine that runs the worker that much room in its folder for temporary files, or under `spool`, and the target memory for twice the value.',
    })
  }
  if (unsendable.length > 0) {
    findings.push({
      id: 'postgresql.row-too-large-to-follow',
      severity: 'risk',
      title: `${counted(unsendable)} rows of more than 1 GB as text: when one of them changes the source cannot send the change, and the stream ends there for good. The load copies them.`,
      evidence: evidence(unsendable),
      remedy:
        'Leave these rows alone until the move is finalized, or keep such values outside of the database. A bytea counts twice; under REPLICA IDENTITY FULL the old row and the new one count together.',
    })
  }
  if (unseen.length > 0) {
    findings.push({
      id: 'postgresql.large-value-not-looked-for',
      severity: 'note',
      title: `${unseen.length} ${unseen.length === 1 ? 'table was' : 'tables were'} too large to be looked through for values of more than ${triedMegabytes} MB.`,
      evidence: evidence(unseen),
      remedy: 'SELECT max(octet_length(…)) FROM … at a quiet time, where such values are possible.',
    })
  }
  return findings
}

function counted(tables: readonly string[]): string {
  return `${tables.length} ${tables.length === 1 ? 'table has' : 'tables have'}`
}

async function lookForLargeValues(source: Session, tables: readonly Table[]): Promise<Looked> {
  const looked = { large: [] as string[], unsendable: [] as string[], unseen: [] as string[] }
  for (const table of tables) {
    const lengths = table.columns.flatMap(({ name, typeOid }) => {
      const factor = textBytes.get(typeOid)
      return factor ? [{ bytes: `coalesce(octet_length(${ident(name)}), 0)::int8`, factor }] : []
    })
    if (lengths.length === 0 || table.bytes - table.blocks * blockBytes < asideBytesLeast) continue
    const found = await lookAt(source, table, lengths)
    if (!found) looked.unseen.push(table.label)
    else {
      if (found.large > 0) {
        looked.large.push(`${table.label}: ${found.large} rows, the largest value ${found.largest} MB`)
      }
      if (found.unsendable > 0) looked.unsendable.push(`${table.label}: ${found.unsendable} rows`)
    }
  }
  return looked
}

interface Found {
  readonly large: number
  readonly largest: number
  readonly unsendable: number
}

/** Undefined where it would take too long. */
async function lookAt(
  source: Session,
  table: Table,
  lengths: readonly { readonly bytes: string; readonly factor: number }[],
): Promise<Found | undefined> {
  const largest = `greatest(${lengths.map(({ bytes }) => bytes).join(', ')})`
  const text = lengths.map(({ bytes, factor }) => `${bytes} * ${factor}`).join(' + ')
  const sent = table.identity === 'full' ? `2 * (${text})` : text
  await source.query(`SAVEPOINT large_values; SET LOCAL statement_timeout = ${tableWithinMs}`)
  const found = await source
    .query(
      `SELECT count(*) FILTER (WHERE largest > ${triedMegabytes}) AS large, round(max(largest)) AS largest,
         count(*) FILTER (WHERE sent > ${messageMegabytesMost}) AS unsendable
       FROM (SELECT ${largest} / 1048576.0 AS largest, (${sent}) / 1048576.0 AS sent FROM ONLY ${table.qualified}) r`,
    )
    .then(({ rows }) => rows[0] as Record<keyof Found, string>)
    .catch((thrown: { code?: string }) => {
      if (thrown.code !== '57014') throw thrown
      return undefined
    })
  await source.query('ROLLBACK TO SAVEPOINT large_values')
  if (!found) return undefined
  return { large: Number(found.large), largest: Number(found.largest), unsendable: Number(found.unsendable) }
}

/** As servers are built; another size only makes the look a little more or less thorough. */
const blockBytes = 8_192
