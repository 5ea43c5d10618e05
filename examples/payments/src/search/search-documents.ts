import type { PaymentPayload } from '../events/payment-event.ts'

/** A payment as it can be searched for: `_id` is the transfer, the external version its event. */
export interface TransactionDocument {
  readonly event: number
  readonly reference: string
  readonly kind: string
  readonly amount: number
  readonly debit: number
  readonly credit: number
  readonly takenAt: string
}

export interface TakenPayment {
  readonly ordinal: string
  readonly event: string
  readonly transfer: string
  readonly subject: string
  readonly body: PaymentPayload
  readonly taken_at: Date
}

/** Ascends in the order in which events were taken; whoever reads on from an ordinal misses none. */
export const takenPayments = `
  SELECT i.ordinal, d.event, d.transfer, i.subject, d.body, i.taken_at
    FROM consumers.inbox i JOIN consumers.documents d ON d.event = i.event
   WHERE i.consumer = 'search-index'`

export function transactionDocument({ event, subject, body, taken_at }: TakenPayment): TransactionDocument {
  const { kind, amount, debit, credit } = body
  const parties = { debit: debit.account, credit: credit.account }
  return { event: Number(event), reference: subject, kind, amount, ...parties, takenAt: taken_at.toISOString() }
}

/** One index a month, so that old ones can be closed or moved as a whole. */
export function transactionIndex({ taken_at }: Pick<TakenPayment, 'taken_at'>): string {
  return `tx-${taken_at.toISOString().slice(0, 7).replace('-', '.')}`
}

export const transactionsPattern = 'tx-*'
export const merchantsIndex = 'merchants'

const keyword = { type: 'keyword' }
const long = { type: 'long' }

/** Strict: a field that is not known here is an error and no guess. */
export const transactionTemplate = {
  index_patterns: [transactionsPattern],
  settings: { number_of_shards: 1, number_of_replicas: 0, refresh_interval: '1s' },
  mappings: {
    dynamic: 'strict',
    properties: {
      event: long,
      reference: keyword,
      kind: keyword,
      amount: long,
      debit: long,
      credit: long,
      takenAt: { type: 'date' },
    },
  },
}

export const merchantsDefinition = {
  settings: {
    number_of_shards: 1,
    number_of_replicas: 0,
    // Nobody types the marks of Vietnamese into a search field.
    analysis: { analyzer: { plain: { type: 'custom', tokenizer: 'standard', filter: ['lowercase', 'asciifolding'] } } },
  },
  mappings: {
    dynamic: 'strict',
    properties: { id: long, name: { type: 'text', analyzer: 'plain' }, partnerCode: keyword, walletAccount: long },
  },
}
