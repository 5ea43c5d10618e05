import { hash } from 'node:crypto'
import { glob, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Findings } from '../findings.ts'
import { LedgerSnapshot } from '../ledger-snapshot.ts'
import { type StoreVerdict, storeVerdict } from '../store-verdict.ts'
import { TemporaryDatabase } from '../temporary-database.ts'
import { type ReceiptSource, receiptFile, receiptSources, receiptText } from './receipt.ts'
import { readManifests } from './receipt-share.ts'

/** What can be wrong with receipts, gravest first. Each is counted by file. */
export const receiptsCorruptions = {
  lost: 'receipts that are not there, though their time to be written is over',
  altered: 'receipts with other bytes than their payment gives',
  unasked: 'files that are no receipt of any payment, or are back after they were deleted',
  manifestMissing: 'receipts that the manifest does not name',
  manifestDoubled: 'receipts that the manifest names more than once',
  manifestWrong: 'receipts of which the manifest has another hash, and lines of no payment',
  manifestReordered: 'lines of the manifest that stand before an earlier one',
} as const

export type ReceiptsCorruption = keyof typeof receiptsCorruptions
type ReceiptsFindings = Findings<ReceiptsCorruption>

export interface ReceiptsJudgeOptions {
  readonly share: string
  readonly consumersUrl: string
  /** How soon a receipt must be written after its event was taken. */
  readonly freshnessMs?: number
}

/** Holds the share against what was paid, by hash. Reads every file. Call when nothing more is written. */
export async function judgeReceipts(options: ReceiptsJudgeOptions): Promise<StoreVerdict<ReceiptsCorruption>> {
  const findings: ReceiptsFindings = new Findings(receiptsCorruptions)
  const latest = Date.now() - (options.freshnessMs ?? 5000)
  using table = new ReceiptsTable()
  const lines = await readLines(options.share, table, findings)
  let receipts = 0
  await using consumers = await LedgerSnapshot.open(options.consumersUrl)
  for await (const source of consumers.rows<ReceiptSource>(receiptSources)) {
    const file = receiptFile(source.payload.transfer)
    const expected = hash('sha256', receiptText(source))
    const actual = await fileHash(join(options.share, file))
    const named = table.expect(file)
    receipts++
    if (actual === undefined) {
      if (source.taken_at.getTime() < latest || named.length > 0) findings.found('lost', file)
      continue
    }
    if (actual !== expected) findings.found('altered', file)
    if (named.length === 0 && source.taken_at.getTime() < latest) findings.found('manifestMissing', file)
    if (named.length > 1) findings.found('manifestDoubled', file)
    if (named.some((sha256) => sha256 !== expected)) findings.found('manifestWrong', file)
  }
  for (const file of table.unexpected()) findings.found('manifestWrong', file)
  // What a crash has left unfinished is no receipt and does no harm.
  for await (const file of glob('*/*.txt', { cwd: options.share })) {
    if (!table.isExpected(file)) findings.found('unasked', file)
  }
  return storeVerdict('receipts', findings, { receipts, lines })
}

async function readLines(share: string, table: ReceiptsTable, findings: ReceiptsFindings): Promise<number> {
  let lines = 0
  let last = 0n
  for await (const { file, sha256, ordinal } of readManifests(share)) {
    lines++
    table.named(file, sha256)
    if (BigInt(ordinal) < last) findings.found('manifestReordered', file)
    last = BigInt(ordinal) > last ? BigInt(ordinal) : last
  }
  return lines
}

/** What the manifest names and what there should be, sorted on disk. */
class ReceiptsTable implements Disposable {
  readonly #file = new TemporaryDatabase(`
    CREATE TABLE named (file TEXT, sha256 TEXT);
    CREATE INDEX named_files ON named (file);
    CREATE TABLE expected (file TEXT PRIMARY KEY) WITHOUT ROWID;
    BEGIN`)
  readonly #insertNamed = this.#file.sql.prepare('INSERT INTO named VALUES (?, ?)')
  readonly #insertExpected = this.#file.sql.prepare('INSERT OR IGNORE INTO expected VALUES (?)')
  readonly #selectNamed = this.#file.sql.prepare('SELECT sha256 FROM named WHERE file = ?')
  readonly #selectExpected = this.#file.sql.prepare('SELECT 1 FROM expected WHERE file = ?')

  named(file: string, sha256: string): void {
    this.#insertNamed.run(file, sha256)
  }

  /** Notes that there should be this file, and returns the hashes under which the manifest names it. */
  expect(file: string): string[] {
    this.#insertExpected.run(file)
    return this.#selectNamed.all(file).map(({ sha256 }) => String(sha256))
  }

  isExpected(file: string): boolean {
    return this.#selectExpected.get(file) !== undefined
  }

  unexpected(): string[] {
    const sql = 'SELECT DISTINCT file FROM named WHERE file NOT IN (SELECT file FROM expected)'
    return this.#file.sql
      .prepare(sql)
      .all()
      .map(({ file }) => String(file))
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]()
  }
}

async function fileHash(path: string): Promise<string | undefined> {
  try {
    return hash('sha256', await readFile(path))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
