/** An entry that a payment made: the `seq`th of its account. */
export interface Leg {
  readonly account: number
  readonly seq: number
}

/** What the ledger tells of a payment; see `ledger.post`. */
export interface PaymentPayload {
  readonly transfer: string
  readonly kind: string
  readonly amount: number
  readonly debit: Leg
  readonly credit: Leg
}

/** A message on the exchange. */
export interface PaymentEvent {
  /** Number of the outbox row. */
  readonly event: string
  readonly topic: string
  /** Idempotency key of the payment. */
  readonly subject: string
  readonly payload: PaymentPayload
}

/** Throws on what the ledger's outbox can never have sent. */
export function parseEvent(text: string | null): PaymentEvent {
  const value: unknown = JSON.parse(text ?? '')
  if (!isEvent(value)) throw new Error('a message that is no payment event')
  return value
}

function isEvent(value: unknown): value is PaymentEvent {
  if (typeof value !== 'object' || value === null) return false
  const { event, topic, subject, payload } = value as Record<string, unknown>
  return (
    /^[1-9]\d{0,17}$/.test(String(event)) &&
    typeof topic === 'string' &&
    typeof subject === 'string' &&
    typeof payload === 'object' &&
    payload !== null
  )
}
