import type { AMQPChannel } from '@cloudamqp/amqp-client'

export const consumerNames = ['notification', 'settlement', 'risk', 'search-index'] as const
export type ConsumerName = (typeof consumerNames)[number]

export const exchange = 'payments.v1'
export const deadExchange = 'payments.v1.dead'

export interface ConsumerQueues {
  readonly main: string
  /** Nobody reads it: what lies in it goes back to `main` after a while. */
  readonly retry: string
  /** What could not be taken: an operator looks at it. */
  readonly dead: string
}

export function queuesOf(consumer: ConsumerName): ConsumerQueues {
  const main = `payments.${consumer}`
  return { main, retry: `${main}.retry`, dead: `${main}.dead` }
}

/** Declares everything, durable; repeating it changes nothing. `retryMs` must be the same each time. */
export async function declareTopology(channel: AMQPChannel, retryMs: number): Promise<void> {
  await channel.exchangeDeclare(exchange, 'topic', { durable: true })
  await channel.exchangeDeclare(deadExchange, 'direct', { durable: true })
  for (const consumer of consumerNames) {
    const { main, retry, dead } = queuesOf(consumer)
    // One consumer at a time, and the others in wait, so that the order of the queue is the order of the effects.
    const single = { 'x-single-active-consumer': true }
    await channel.queueDeclare(main, { durable: true }, { ...single, ...deadLetters(deadExchange, consumer) })
    await channel.queueBind(main, exchange, 'payments.v1.#')
    await channel.queueDeclare(retry, { durable: true }, { 'x-message-ttl': retryMs, ...deadLetters('', main) })
    await channel.queueDeclare(dead, { durable: true })
    await channel.queueBind(dead, deadExchange, consumer)
  }
}

function deadLetters(to: string, routingKey: string): object {
  return { 'x-dead-letter-exchange': to, 'x-dead-letter-routing-key': routingKey }
}
