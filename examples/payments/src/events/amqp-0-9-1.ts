/** Events by AMQP 0-9-1, on RabbitMQ. */
import type { AMQPMessage } from '@cloudamqp/amqp-client'
import { type BrokerChannel, openBroker } from './broker.ts'
import { type Delivery, prefetch, roundsHeader, type SubscribeOptions, type Subscription } from './delivery.ts'
import type { PaymentEvent } from './payment-event.ts'
import type { EventPublisher } from './publisher.ts'
import { declareTopology, exchange, queuesOf } from './topology.ts'

export async function subscribeByAmqp091(options: SubscribeOptions): Promise<Subscription> {
  const { name, brokerUrl, retryMs, onDelivery } = options
  const broker = await openBroker(brokerUrl, `consumer ${name}`)
  try {
    await declareTopology(broker.channel, retryMs)
    await broker.channel.basicQos(prefetch)
    await broker.channel.basicConsume(queuesOf(name).main, { noAck: false }, (message) =>
      onDelivery(deliveryOf(message, broker, queuesOf(name).retry)),
    )
    return broker
  } catch (error) {
    await broker[Symbol.asyncDispose]()
    throw error
  }
}

function deliveryOf(message: AMQPMessage, { channel }: BrokerChannel, retryQueue: string): Delivery {
  return {
    text: message.bodyString(),
    round: Number(message.properties.headers?.[roundsHeader] ?? 0),
    done: () => message.ack(),
    dead: () => message.reject(false),
    async later(round) {
      // Confirmed before it is acknowledged.
      const headers = { ...message.properties.headers, [roundsHeader]: round }
      const body = message.body ?? new Uint8Array()
      await channel.basicPublish('', retryQueue, body, { ...message.properties, headers })
      await message.ack()
    },
  }
}

export async function publishByAmqp091(brokerUrl: string, retryMs: number): Promise<EventPublisher> {
  const broker = await openBroker(brokerUrl, 'outbox-relay')
  try {
    await declareTopology(broker.channel, retryMs)
  } catch (error) {
    await broker[Symbol.asyncDispose]()
    throw error
  }
  const returned: string[] = []
  broker.channel.onReturn = (message: AMQPMessage) => returned.push(message.routingKey)
  return {
    lost: broker.lost,
    async publish(events) {
      await Promise.race([Promise.all(events.map((event) => publish(broker, event))), broker.lost])
      if (returned.length > 0) throw new Error(`no queue is bound for ${returned[0]}`)
    },
    [Symbol.asyncDispose]: () => broker[Symbol.asyncDispose](),
  }
}

async function publish({ channel }: BrokerChannel, event: PaymentEvent): Promise<void> {
  const properties = { deliveryMode: 2, contentType: 'application/json', messageId: event.event, type: event.topic }
  await channel.basicPublish(exchange, event.topic, JSON.stringify(event), properties, true)
}
