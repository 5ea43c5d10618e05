import { hash } from 'node:crypto'
import { Findings } from '../findings.ts'
import { LedgerSnapshot } from '../ledger-snapshot.ts'
import { mergeJoin } from '../merge-join.ts'
import { type StoreVerdict, storeVerdict } from '../store-verdict.ts'
import { MerchantsSnapshot } from './merchants-snapshot.ts'
import { type AskedRequest, MerchantsTable } from './merchants-table.ts'
import { formatVietQr } from './vietqr.ts'

/** What can be wrong with merchants, gravest first. */
export const merchantsCorruptions = {
  lost: 'orders and payments that were acknowledged and are not there',
  doubled: 'orders or operations that are there more than once',
  unasked: 'orders and requests that nobody made',
  altered: 'orders with another amount, payer or code than was asked for',
  notInLedger: 'captures, refunds, holds and releases that the ledger does not have',
  onlyInLedger: 'transfers for orders of which the merchants’ database knows nothing',
  differsFromLedger: 'operations of which the ledger has another kind, amount, party or number',
  settlementWrong: 'settlements whose sums are not their captures minus their refunds, or are of another merchant',
  answersMissing: 'requests whose answer is gone, so that a retry would be done anew',
  answersDiffer: 'requests whose answer is not the one that was given',
  repliesDiffer: 'requests that got different answers when they were repeated',
  stateWrong: 'orders whose state does not follow from their operations',
  noticesWrong: 'captures, refunds and releases without exactly one notice to their merchant',
  unfinished: 'orders and operations that are still under way',
} as const

export type MerchantsCorruption = keyof typeof merchantsCorruptions
type MerchantsFindings = Findings<MerchantsCorruption>

export interface MerchantsJudgeOptions {
  readonly journals: readonly string[]
  readonly url: string
  readonly ledgerUrl: string
}

/** What is held against what. */
interface Evidence {
  readonly table: MerchantsTable
  readonly merchants: MerchantsSnapshot
  readonly ledger: LedgerSnapshot
  readonly findings: MerchantsFindings
}

/**
 * Holds the merchants' database against the journals of its load and against the ledger. Reads one snapshot of each.
 * Call when nobody sells any more and nothing is under way.
 */
export async function judgeMerchants(options: MerchantsJudgeOptions): Promise<StoreVerdict<MerchantsCorruption>> {
  const findings: MerchantsFindings = new Findings(merchantsCorruptions)
  using table = new MerchantsTable()
  for (const path of options.journals) await table.add(path)
  await using merchants = await MerchantsSnapshot.open(options.url)
  await using ledger = await LedgerSnapshot.open(options.ledgerUrl)
  const evidence = { table, merchants, ledger, findings }
  const requests = await checkRequests(evidence)
  const orders = await checkOrders(evidence)
  await checkPayments(evidence)
  const operations = await checkLedger(evidence)
  for (const [corruption, sql] of oddities) {
    for await (const { item } of merchants.rows<{ item: string }>(sql)) findings.found(corruption, item)
  }
  const { count, keys } = table.differing
  findings.add('repliesDiffer', count, keys)
  const { settlements } = await first<{ settlements: string }>(
    merchants,
    'SELECT count(*) settlements FROM settlements',
  )
  const judged = { requests, orders, operations, settlements: Number(settlements) }
  return storeVerdict('merchants', findings, judged)
}

const keyed = (name: string) => `CAST(concat(m.partner_code, '/', ${name}) AS CHAR CHARACTER SET ascii)`
// Not called `name`: in an expression that would be a column of the tables.
const bytewise = 'ORDER BY CAST(item AS BINARY)'

interface KeptAnswer {
  readonly item: string
  readonly answer: string
}

async function checkRequests({ table, merchants, findings }: Evidence): Promise<number> {
  const kept = merchants.rows<KeptAnswer>(`
    SELECT ${keyed('r.request_id')} AS item, r.answer FROM requests r JOIN merchants m ON m.id = r.merchant_id ${bytewise}`)
  let requests = 0
  for await (const { key, left, right } of joined(table.requests(), kept)) {
    const [asked] = left
    const [answer] = right
    requests++
    if (asked === undefined) findings.found('unasked', key)
    else if (asked.answer === null) continue
    else if (answer === undefined) findings.found('answersMissing', key)
    else if (hash('sha256', answer.answer) !== asked.answer) findings.found('answersDiffer', key)
  }
  return requests
}

interface OrderRow {
  readonly item: string
  readonly order_ref: string
  readonly amount: string
  readonly qr: string
  readonly bank_bin: string
  readonly bank_account: string
  readonly payer: string | null
  readonly state: string
}

const orderRows = `
  SELECT ${keyed('o.order_ref')} AS item, o.order_ref, o.amount, o.qr, o.payer, o.state, m.bank_bin, m.bank_account
    FROM orders o JOIN merchants m ON m.id = o.merchant_id ${bytewise}`

async function checkOrders({ table, merchants, findings }: Evidence): Promise<number> {
  let orders = 0
  for await (const { key, left, right } of joined(table.orders(), merchants.rows<OrderRow>(orderRows))) {
    const [asked] = left
    orders += right.length
    if (right.length > 1) findings.found('doubled', key)
    if (asked === undefined || (asked.outcome === 'refused' && right.length > 0)) findings.found('unasked', key)
    else if (asked.outcome === 'success' && right.length === 0) findings.found('lost', key)
    else if (right.some((order) => BigInt(order.amount) !== asked.amount || !hasItsCode(order))) {
      findings.found('altered', key)
    }
  }
  return orders
}

function hasItsCode(order: OrderRow): boolean {
  const { bank_bin: bankBin, bank_account: bankAccount, amount, order_ref: ref } = order
  return order.qr === formatVietQr({ bankBin, bankAccount, amount: BigInt(amount), purpose: ref.slice(-25) })
}

/** Lost orders are told as such before. */
async function checkPayments({ table, merchants, findings }: Evidence): Promise<void> {
  for await (const { key, left, right } of joined(table.payments(), merchants.rows<OrderRow>(orderRows))) {
    const [asked] = left
    const [order] = right
    if (order === undefined) continue
    const isPaid = ['held', 'paid', 'cancelled'].includes(order.state)
    if (asked === undefined) {
      if (order.state !== 'open') findings.found('unasked', key)
    } else if (asked.outcome === 'success' && !isPaid) findings.found('lost', key)
    else if (asked.outcome === 'refused' && isPaid) findings.found('unasked', key)
    else if (order.payer !== null && BigInt(order.payer) !== asked.payer) findings.found('altered', key)
  }
}

interface OperationRow {
  readonly item: string
  readonly kind: string
  readonly amount: string
  /** Numbers of the ledger; null where its house account takes part. */
  readonly debit: string | null
  readonly credit: string | null
  readonly transfer: string | null
}

interface TransferRow {
  readonly item: string
  readonly kind: string
  readonly amount: string
  readonly debit: string
  readonly credit: string
  readonly id: string
}

const operationRows = `
  SELECT p.reference AS item, p.kind, p.amount, if(p.kind = 'refund', m.wallet_account, NULL) AS debit,
         if(p.kind = 'capture', m.wallet_account, o.payer) AS credit, p.transfer
    FROM operations p JOIN orders o ON o.id = p.order_id JOIN merchants m ON m.id = o.merchant_id
   WHERE p.state = 'done'
  UNION ALL
  SELECT concat('m:', id, ':hold'), 'hold', amount, payer, NULL, NULL FROM orders WHERE hold_id IS NOT NULL
  ${bytewise}`

const transferRows = `
  SELECT reference AS item, kind, amount, debit_account AS debit, credit_account AS credit, id FROM ledger.transfers
   WHERE reference LIKE 'm:%' ORDER BY reference COLLATE "C"`

async function checkLedger({ merchants, ledger, findings }: Evidence): Promise<number> {
  let operations = 0
  const transfers = ledger.rows<TransferRow>(transferRows)
  for await (const { key, left, right } of joined(merchants.rows<OperationRow>(operationRows), transfers)) {
    operations += left.length
    const [operation] = left
    const [transfer] = right
    if (left.length > 1) findings.found('doubled', key)
    if (operation === undefined) findings.found('onlyInLedger', key)
    else if (transfer === undefined) findings.found('notInLedger', key)
    else if (!agree(operation, transfer)) findings.found('differsFromLedger', key)
  }
  return operations
}

function agree(operation: OperationRow, transfer: TransferRow): boolean {
  return (
    operation.kind === transfer.kind &&
    operation.amount === transfer.amount &&
    (operation.debit === null || operation.debit === transfer.debit) &&
    (operation.credit === null || operation.credit === transfer.credit) &&
    (operation.transfer === null || operation.transfer === transfer.id)
  )
}

const oddities: ReadonlyArray<readonly [MerchantsCorruption, string]> = [
  [
    'settlementWrong',
    `SELECT concat('settlement:', coalesce(s.id, t.settlement_id)) AS item
       FROM settlements s
       LEFT JOIN (SELECT settlement_id, merchant_id, sum(if(kind = 'capture', amount, 0)) AS captured,
                         sum(if(kind = 'refund', amount, 0)) AS refunded
                    FROM operations WHERE settlement_id IS NOT NULL AND state = 'done' GROUP BY 1, 2) t
         ON t.settlement_id = s.id AND t.merchant_id = s.merchant_id
      WHERE s.captured <> coalesce(t.captured, 0) OR s.refunded <> coalesce(t.refunded, 0)
         OR s.amount <> s.captured - s.refunded`,
  ],
  [
    'settlementWrong',
    `SELECT concat('operation:', p.id) AS item FROM operations p LEFT JOIN settlements s ON s.id = p.settlement_id
      WHERE p.settlement_id IS NOT NULL
        AND (s.id IS NULL OR s.merchant_id <> p.merchant_id OR p.state <> 'done' OR p.kind = 'release')`,
  ],
  [
    'stateWrong',
    `SELECT concat('order:', o.id) AS item FROM orders o
       LEFT JOIN operations p ON p.order_id = o.id AND p.state = 'done'
      GROUP BY o.id, o.state, o.amount, o.hold_id
     HAVING o.state <> 'paying' AND (
            (o.state = 'paid') <> (sum(coalesce(p.kind = 'capture', 0)) > 0)
         OR (o.state IN ('open', 'failed')) <> (o.hold_id IS NULL)
         OR sum(if(p.kind = 'capture', p.amount, 0)) > o.amount
         OR sum(if(p.kind = 'refund', p.amount, 0)) > sum(if(p.kind = 'capture', p.amount, 0)))`,
  ],
  [
    'noticesWrong',
    `SELECT concat('operation:', p.id) AS item FROM operations p LEFT JOIN ipn_deliveries d ON d.operation_id = p.id
      GROUP BY p.id, p.state HAVING count(d.id) <> (p.state = 'done')
      UNION ALL
     SELECT concat('notice:', d.id) FROM ipn_deliveries d LEFT JOIN operations p ON p.id = d.operation_id
      WHERE p.id IS NULL`,
  ],
  [
    'unfinished',
    `SELECT concat('order:', id) AS item FROM orders WHERE state = 'paying'
      UNION ALL SELECT concat('operation:', id) FROM operations WHERE state = 'asked'`,
  ],
]

function joined<Left extends AskedRequest | OperationRow, Right extends { readonly item: string }>(
  left: Iterable<Left> | AsyncIterable<Left>,
  right: AsyncIterable<Right>,
) {
  const keyOf = (row: Left) => ('key' in row ? row.key : row.item)
  return mergeJoin<string, Left, Right>({ rows: left, keyOf }, { rows: right, keyOf: (row) => row.item })
}

async function first<Row>(merchants: MerchantsSnapshot, sql: string): Promise<Row> {
  for await (const row of merchants.rows<Row>(sql)) return row
  throw new Error('no row')
}
