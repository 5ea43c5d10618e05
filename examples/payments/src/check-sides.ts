import type { JournalTable } from './journal-table.ts'
import type { LedgerSnapshot } from './ledger-snapshot.ts'
import { mergeJoin } from './merge-join.ts'
import type { LedgerFindings } from './verdict.ts'

interface Row {
  readonly key: string
  /** All that must be the same, as one text. */
  readonly content: string
}

const transferRows = `
  SELECT reference AS key, concat_ws('|', id, kind, debit_account, credit_account, amount) AS content
    FROM ledger.transfers ORDER BY reference COLLATE "C", id`
const accountRows = `
  SELECT id AS key, concat_ws('|', balance, entry_count, encode(chain, 'hex')) AS content FROM ledger.accounts ORDER BY id`

/**
 * Holds two ledgers against each other that are expected to be equal: nobody pays, and everything has been replicated.
 * Equal heads of the accounts' chains mean equal entries.
 */
export async function checkSides(
  journal: JournalTable,
  one: LedgerSnapshot,
  other: LedgerSnapshot,
  findings: LedgerFindings,
): Promise<void> {
  for await (const key of differences(one, other, transferRows, String)) {
    findings.found(journal.isUnknown(key) ? 'unknownDiffers' : 'sidesDiffer', key)
  }
  for await (const key of differences(one, other, accountRows, BigInt)) findings.found('headsDiffer', `account:${key}`)
}

async function* differences<Key extends string | bigint>(
  one: LedgerSnapshot,
  other: LedgerSnapshot,
  query: string,
  parseKey: (text: string) => Key,
): AsyncGenerator<Key> {
  const keyOf = (row: Row) => parseKey(row.key)
  const joined = mergeJoin({ rows: one.rows<Row>(query), keyOf }, { rows: other.rows<Row>(query), keyOf })
  for await (const { key, left, right } of joined) {
    const same = left.length === right.length && left.every((row, n) => row.content === right[n]?.content)
    if (!same) yield key
  }
}
