import { createHash } from 'node:crypto'
import type { LedgerSnapshot } from './ledger-snapshot.ts'
import { mergeJoin } from './merge-join.ts'
import type { LedgerFindings } from './verdict.ts'

/** Transfers whose entries are not exactly their debit and their credit, and entries of no transfer. */
const oddTransfers = `
  WITH booked AS (SELECT DISTINCT id, reference, debit_account, credit_account, amount FROM ledger.transfers)
  SELECT coalesce(t.reference, 'transfer:' || max(e.transfer_id)) AS key, count(e.amount) AS entries,
         coalesce(sum(e.amount), 0) AS total,
         count(*) FILTER (WHERE e.account_id = t.debit_account AND e.amount = -t.amount) AS debits,
         count(*) FILTER (WHERE e.account_id = t.credit_account AND e.amount = t.amount) AS credits
    FROM booked t FULL JOIN ledger.entries e ON e.transfer_id = t.id
   GROUP BY coalesce(t.id, e.transfer_id), t.reference
  HAVING count(*) <> 2
      OR count(*) FILTER (WHERE e.account_id = t.debit_account AND e.amount = -t.amount) <> 1
      OR count(*) FILTER (WHERE e.account_id = t.credit_account AND e.amount = t.amount) <> 1`

interface OddTransfer {
  readonly key: string
  readonly entries: string
  readonly total: string
  readonly debits: string
  readonly credits: string
}

/** A hold's transfers must be itself, captures up to its amount, and at most one release of what was left. */
const oddHolds = `
  SELECT 'hold:' || coalesce(h.id, t.hold_id) AS key
    FROM ledger.holds h
    FULL JOIN (SELECT hold_id, count(*) FILTER (WHERE kind = 'hold') AS holds,
                      coalesce(sum(amount) FILTER (WHERE kind = 'hold'), 0) AS held,
                      coalesce(sum(amount) FILTER (WHERE kind = 'capture'), 0) AS captured,
                      count(*) FILTER (WHERE kind = 'release') AS releases,
                      coalesce(sum(amount) FILTER (WHERE kind = 'release'), 0) AS released
                 FROM ledger.transfers WHERE hold_id IS NOT NULL GROUP BY hold_id) t ON t.hold_id = h.id
   WHERE NOT coalesce(t.holds = 1 AND t.held = h.amount AND t.captured = h.captured AND
           CASE h.state WHEN 'held' THEN t.captured < h.amount AND t.releases = 0
                        WHEN 'captured' THEN t.captured = h.amount AND t.releases = 0
                        WHEN 'released' THEN t.releases = 1 AND t.captured + t.released = h.amount END, false)`

const oddRefunds = `
  SELECT 'transfer:' || id AS key FROM ledger.transfers WHERE kind = 'refund' AND refund_of IS NULL
  UNION ALL
  SELECT 'transfer:' || r.refund_of
    FROM ledger.transfers r LEFT JOIN ledger.transfers t ON t.id = r.refund_of
   WHERE r.refund_of IS NOT NULL
   GROUP BY r.refund_of, t.id
  HAVING t.id IS NULL OR sum(r.amount) > max(t.amount) OR bool_or(r.debit_account <> t.credit_account)`

/** Holds transfers against their entries, holds against their transfers. */
export async function checkTransfers(ledger: LedgerSnapshot, findings: LedgerFindings): Promise<void> {
  for await (const odd of ledger.rows<OddTransfer>(oddTransfers)) {
    if (odd.total !== '0' || odd.entries === '0') findings.found('unbalanced', odd.key)
    else if (isWholeMultiple(odd)) findings.found('doubled', odd.key)
    else findings.found('misbooked', odd.key)
  }
  for await (const odd of ledger.rows<{ key: string }>(oddHolds)) findings.found('holdsWrong', odd.key)
  for await (const odd of ledger.rows<{ key: string }>(oddRefunds)) findings.found('refundsWrong', odd.key)
}

function isWholeMultiple({ entries, debits, credits }: OddTransfer): boolean {
  return debits === credits && Number(entries) === 2 * Number(debits)
}

interface AccountRow {
  readonly id: string
  readonly kind: string
  readonly balance: string
  readonly entry_count: string
  readonly chain: Buffer
}

interface EntryRow {
  readonly account_id: string
  readonly seq: string
  readonly transfer_id: string
  readonly amount: string
  readonly balance_after: string
  readonly chain: Buffer
}

/** Where the entries of one account lead, worked out anew from the first. */
interface Trail {
  readonly account: bigint
  balance: bigint
  entries: bigint
  chain: Buffer
  broken: boolean
}

/**
 * Works out every account from its entries and holds it against the stored balance and head. Returns how many there
 * are and what the stored balances sum to.
 */
export async function checkAccounts(
  ledger: LedgerSnapshot,
  findings: LedgerFindings,
): Promise<{ accounts: number; entries: number; sum: bigint }> {
  const totals = { accounts: 0, entries: 0, sum: 0n }
  const accounts = ledger.rows<AccountRow>(
    'SELECT id, kind, balance, entry_count, chain FROM ledger.accounts ORDER BY id',
  )
  const entries = ledger.rows<EntryRow>('SELECT * FROM ledger.entries ORDER BY account_id, seq')
  const joined = mergeJoin<bigint, AccountRow, Trail>(
    { rows: accounts, keyOf: (account) => BigInt(account.id) },
    { rows: followTrails(entries), keyOf: (trail) => trail.account },
  )
  for await (const { key, left, right } of joined) {
    const trail = right[0] ?? emptyTrail(key)
    const account = left[0]
    totals.accounts++
    totals.entries += Number(trail.entries)
    totals.sum += left.reduce((sum, { balance }) => sum + BigInt(balance), 0n)
    if (account === undefined || left.length > 1 || BigInt(account.balance) !== trail.balance) {
      findings.found('balanceDiffers', `account:${key}`)
    }
    if (account?.kind === 'customer' && BigInt(account.balance) < 0n) findings.found('overdrawn', `account:${key}`)
    if (account === undefined || trail.broken || !isHead(account, trail))
      findings.found('chainBroken', `account:${key}`)
  }
  return totals
}

async function* followTrails(entries: AsyncIterable<EntryRow>): AsyncGenerator<Trail> {
  let trail: Trail | undefined
  for await (const entry of entries) {
    const account = BigInt(entry.account_id)
    if (trail?.account !== account) {
      if (trail !== undefined) yield trail
      trail = emptyTrail(account)
    }
    follow(trail, entry)
  }
  if (trail !== undefined) yield trail
}

function follow(trail: Trail, entry: EntryRow): void {
  trail.balance += BigInt(entry.amount)
  trail.entries++
  trail.chain = nextLink(trail.chain, entry)
  const follows =
    BigInt(entry.seq) === trail.entries &&
    BigInt(entry.balance_after) === trail.balance &&
    entry.chain.equals(trail.chain)
  if (!follows) trail.broken = true
}

/** SHA-256 over the link before, the transfer's number and the amount, both as eight bytes, most significant first. */
function nextLink(previous: Buffer, entry: EntryRow): Buffer {
  const numbers = Buffer.alloc(16)
  numbers.writeBigInt64BE(BigInt(entry.transfer_id), 0)
  numbers.writeBigInt64BE(BigInt(entry.amount), 8)
  return createHash('sha256').update(previous).update(numbers).digest()
}

function isHead(account: AccountRow, trail: Trail): boolean {
  return BigInt(account.entry_count) === trail.entries && account.chain.equals(trail.chain)
}

function emptyTrail(account: bigint): Trail {
  return { account, balance: 0n, entries: 0n, chain: Buffer.alloc(0), broken: false }
}
