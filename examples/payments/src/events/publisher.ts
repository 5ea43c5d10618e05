import { publishByAmqp091 } from './amqp-0-9-1.ts'
import { publishByAmqp10 } from './amqp-1-0.ts'
import { isAmqp10 } from './delivery.ts'
import type { PaymentEvent } from './payment-event.ts'

export interface EventPublisher extends AsyncDisposable {
  readonly lost: Promise<never>
  /** In their order; resolves when the broker has all of them on its disk. */
  publish(events: readonly PaymentEvent[]): Promise<void>
}

export function openPublisher(brokerUrl: string, retryMs: number): Promise<EventPublisher> {
  return isAmqp10(brokerUrl) ? publishByAmqp10(brokerUrl) : publishByAmqp091(brokerUrl, retryMs)
}
