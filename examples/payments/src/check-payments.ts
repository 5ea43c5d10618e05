import { createHash } from 'node:crypto'
import type { JournalledPayment, JournalTable } from './journal-table.ts'
import type { LedgerSnapshot } from './ledger-snapshot.ts'
import { mergeJoin } from './merge-join.ts'
import type { LedgerFindings } from './verdict.ts'

/** A transfer and the answer stored under its reference; one of the two may be missing. */
interface LedgerRow {
  readonly key: string
  readonly kind: string | null
  readonly debit_account: string
  readonly credit_account: string
  readonly debit_kind: string
  readonly credit_kind: string
  readonly amount: string
  readonly body: string | null
}

const ledgerRows = `
  SELECT coalesce(t.reference, i.key) COLLATE "C" AS key, t.kind, t.debit_account, t.credit_account, t.amount,
         d.kind AS debit_kind, c.kind AS credit_kind, i.body
    FROM ledger.transfers t
    LEFT JOIN ledger.accounts d ON d.id = t.debit_account
    LEFT JOIN ledger.accounts c ON c.id = t.credit_account
    FULL JOIN ledger.idempotency i ON i.key = t.reference
   ORDER BY 1, t.id`

export interface PaymentCounts {
  payments: number
  success: number
  refused: number
  unknown: number
  unknownPresent: number
  /** What was in the ledger before the load: its transfers' number and a digest of them in order. */
  seeded: Seeded
}

export interface Seeded {
  readonly count: number
  readonly digest: string
}

/** Holds the ledger's transfers and stored answers against the journal, payment by payment. */
export async function checkPayments(
  journal: JournalTable,
  ledger: LedgerSnapshot,
  findings: LedgerFindings,
): Promise<PaymentCounts> {
  const counts = { payments: 0, success: 0, refused: 0, unknown: 0, unknownPresent: 0 }
  const seeded = new SeededDigest()
  const joined = mergeJoin<string, JournalledPayment, LedgerRow>(
    { rows: journal.payments(), keyOf: (payment) => payment.key },
    { rows: ledger.rows<LedgerRow>(ledgerRows), keyOf: (row) => row.key },
  )
  for await (const { key, left, right } of joined) {
    const transfers = right.filter((row) => row.kind !== null)
    const asked = left[0]
    if (asked === undefined) {
      if (isSeeded(key)) seeded.add(right)
      else if (isMerchants(key)) continue
      else if (transfers.length > 0) findings.found('unasked', key)
      continue
    }
    counts.payments++
    counts[asked.outcome]++
    if (asked.outcome === 'unknown' && transfers.length > 0) counts.unknownPresent++
    checkPayment(asked, transfers, findings)
    checkAnswer(asked, right, findings)
  }
  return { ...counts, seeded: seeded.value() }
}

function checkPayment(asked: JournalledPayment, transfers: readonly LedgerRow[], findings: LedgerFindings): void {
  if (asked.outcome === 'success' && transfers.length === 0) findings.found('lost', asked.key)
  if (asked.outcome === 'refused' && transfers.length > 0) findings.found('refusedButPresent', asked.key)
  if (transfers.length > 1) findings.found('doubled', asked.key)
  if (transfers.some((transfer) => !isAsAsked(asked, transfer))) findings.found('altered', asked.key)
}

/** Lost payments are told as lost, whether their answer is there or not. */
function checkAnswer(asked: JournalledPayment, rows: readonly LedgerRow[], findings: LedgerFindings): void {
  const present = rows.some((row) => row.kind !== null)
  const body = rows[0]?.body ?? null
  if (body === null) {
    if (present || (asked.outcome === 'refused' && asked.answer !== null)) findings.found('answersMissing', asked.key)
  } else if (asked.answer !== null && sha256(body) !== asked.answer) {
    findings.found('answersDiffer', asked.key)
  }
}

function isAsAsked(asked: JournalledPayment, transfer: LedgerRow): boolean {
  const house = asked.kind === 'top-up' ? 'funding' : 'escrow'
  return (
    transfer.kind === asked.kind &&
    BigInt(transfer.amount) === asked.amount &&
    isParty(asked.from_account, house, transfer.debit_account, transfer.debit_kind) &&
    isParty(asked.to_account, house, transfer.credit_account, transfer.credit_kind)
  )
}

function isParty(asked: bigint | null, house: string, account: string, kind: string): boolean {
  return asked === null ? kind === house : BigInt(account) === asked
}

/** What seeding books is named so; a key of the load's never is. */
function isSeeded(key: string): boolean {
  return key.startsWith('seed:')
}

/** What the merchants' service pays in the name of customers; its own judge holds that against its orders. */
function isMerchants(key: string): boolean {
  return key.startsWith('m:')
}

class SeededDigest {
  readonly #hash = createHash('sha256')
  #count = 0

  add(rows: readonly LedgerRow[]): void {
    for (const row of rows) {
      this.#count++
      const fields = [row.key, row.kind, row.debit_account, row.credit_account, row.amount, row.body]
      this.#hash.update(JSON.stringify(fields))
    }
  }

  value(): Seeded {
    return { count: this.#count, digest: this.#hash.digest('hex') }
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
