/**
 * Rows that take a mover more memory than it is meant to have when they change. The server keeps the length of a large
 * value beside its place, so that it is read without the value; only the tables' own pages are gone through.
 */
import { evidence, type Finding } from '@replatform/core/finding'
import type { Table } from './catalog.ts'
import type { Session } from './session.ts'
import { ident } from './sql.ts'

/** A mover holds a row of the change stream once, as text, beside up to 170 MB of its own; 190 MB took it 353 MB. */
const rowTextBytesMost = 100 * 1024 * 1024
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
  /** Too large to be gone through in passing. */
  readonly unseen: readonly string[]
}

/** Inside a transaction, which it leaves as it was. */
export async function largeValueFindings(source: Session, tables: readonly Table[]): Promise<Finding[]> {
  const { large, unseen } = await lookForLargeRows(source, tables)
  const most = `${rowTextBytesMost / 1024 / 1024} MB`
  const findings: Finding[] = []
  if (large.length > 0) {
    findings.push({
      id: 'postgresql.large-value',
      severity: 'risk',
      title: `${large.length} ${large.length === 1 ? 'table has' : 'tables have'} rows of more than ${most} as text: a mover needs more than its 300 MB while such a row changes. The load copies them as they are.`,
      evidence: evidence(large),
      remedy:
        'Give the machine that runs the worker room for twice the largest row, or keep such values outside of the database. The server itself ends at 1 GB of text, for bytea at half of it.',
    })
  }
  if (unseen.length > 0) {
    findings.push({
      id: 'postgresql.large-value-not-looked-for',
      severity: 'note',
      title: `${unseen.length} ${unseen.length === 1 ? 'table was' : 'tables were'} too large to be looked through for rows of more than ${most}.`,
      evidence: evidence(unseen),
      remedy: 'SELECT max(octet_length(…)) FROM … at a quiet time, where such values are possible.',
    })
  }
  return findings
}

async function lookForLargeRows(source: Session, tables: readonly Table[]): Promise<Looked> {
  const large: string[] = []
  const unseen: string[] = []
  for (const table of tables) {
    const lengths = table.columns.flatMap(({ name, typeOid }) => {
      const factor = textBytes.get(typeOid)
      return factor ? [`coalesce(octet_length(${ident(name)}), 0)::int8 * ${factor}`] : []
    })
    if (lengths.length === 0 || table.bytes - table.blocks * blockBytes < asideBytesLeast) continue
    const sum = lengths.join(' + ')
    await source.query(`SAVEPOINT large_values; SET LOCAL statement_timeout = ${tableWithinMs}`)
    const found = await source
      .query(
        `SELECT count(*) AS rows, round(max(bytes) / 1048576) AS largest FROM (SELECT ${sum} AS bytes FROM ONLY ${table.qualified}) r
         WHERE bytes > ${rowTextBytesMost}`,
      )
      .then(({ rows }) => rows[0] as { rows: string; largest: string })
      .catch((thrown: { code?: string }) => {
        if (thrown.code !== '57014') throw thrown
        return undefined
      })
    await source.query('ROLLBACK TO SAVEPOINT large_values')
    if (!found) unseen.push(table.label)
    else if (found.rows !== '0') large.push(`${table.label}: ${found.rows} rows, the largest ${found.largest} MB`)
  }
  return { large, unseen }
}

/** As servers are built; another size only makes the look a little more or less thorough. */
const blockBytes = 8_192
