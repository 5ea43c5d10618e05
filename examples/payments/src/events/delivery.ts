import { subscribeByAmqp091 } from './amqp-0-9-1.ts'
import { subscribeByAmqp10 } from './amqp-1-0.ts'
import type { ConsumerName } from './topology.ts'

/** One message in a consumer's hand. Each must be settled one way. */
export interface Delivery {
  readonly text: string | null
  /** How often it has been sent round before. */
  readonly round: number
  done(): Promise<void>
  /** To the dead letters. */
  dead(): Promise<void>
  /** Comes again after a while, as this round. A crash in between makes it two, of which the inbox takes one. */
  later(round: number): Promise<void>
}

export interface SubscribeOptions {
  readonly brokerUrl: string
  readonly name: ConsumerName
  readonly retryMs: number
  readonly onDelivery: (delivery: Delivery) => void
}

/** Disposing gives back what is not settled. */
export interface Subscription extends AsyncDisposable {
  readonly lost: Promise<never>
}

/** Deliveries that are in hand, and at most in one transaction. */
export const prefetch = 100

/** Counts rounds in a header, whatever the protocol. */
export const roundsHeader = 'x-rounds'

/** `amqp10://` and `amqp10s://` are AMQP 1.0, as ActiveMQ speaks it; `amqp://` and `amqps://` are AMQP 0-9-1. */
export function isAmqp10(brokerUrl: string): boolean {
  return /^amqp10s?:/.test(brokerUrl)
}

export function subscribe(options: SubscribeOptions): Promise<Subscription> {
  return isAmqp10(options.brokerUrl) ? subscribeByAmqp10(options) : subscribeByAmqp091(options)
}
