/**
 * Events by AMQP 1.0, on ActiveMQ: the exchange is a virtual topic, the queues have the names that they had on RabbitMQ,
 * and what is to come again is sent with a delay instead of by a queue that nobody reads.
 */
import { once } from 'node:events'
import rhea, { type Connection, type EventContext, type Message, type Sender } from 'rhea'
import { type Delivery, prefetch, roundsHeader, type SubscribeOptions, type Subscription } from './delivery.ts'
import type { PaymentEvent } from './payment-event.ts'
import type { EventPublisher } from './publisher.ts'
import { exchange, queuesOf } from './topology.ts'

const topic = `topic://VirtualTopic.${exchange}`

export async function subscribeByAmqp10(options: SubscribeOptions): Promise<Subscription> {
  const { name, brokerUrl, retryMs, onDelivery } = options
  const { connection, lost, close } = await open(brokerUrl)
  const queue = `queue://${queuesOf(name).main}`
  const sender = connection.open_sender(queue)
  await Promise.race([once(sender, 'sendable'), lost])
  const receiver = connection.open_receiver({ source: queue, autoaccept: false, credit_window: prefetch })
  receiver.on('message', (context: EventContext) => {
    const delivery = deliveryOf(context, { sender, lost, retryMs })
    if (delivery) onDelivery(delivery)
  })
  await Promise.race([once(receiver, 'receiver_open'), lost])
  return { lost, [Symbol.asyncDispose]: close }
}

interface Sending {
  readonly sender: Sender
  readonly lost: Promise<never>
  readonly retryMs: number
}

function deliveryOf({ message, delivery }: EventContext, sending: Sending): Delivery | undefined {
  if (!message || !delivery) return undefined
  return {
    text: textOf(message.body),
    round: Number(message.application_properties?.[roundsHeader] ?? 0),
    async done() {
      delivery.accept()
    },
    async dead() {
      delivery.reject()
    },
    async later(round) {
      await send(sending, again(message, round, sending.retryMs))
      delivery.accept()
    },
  }
}

/** Without the id that this broker gave it: a message with an id of its own upsets consumers of STOMP. */
function again(message: Message, round: number, retryMs: number): Message {
  const { message_id: _, to: __, delivery_count: ___, message_annotations: ____, ...kept } = message
  return {
    ...kept,
    application_properties: { ...message.application_properties, [roundsHeader]: round },
    message_annotations: { 'x-opt-delivery-delay': rhea.types.wrap_long(retryMs) },
    body: message.body,
  }
}

function textOf(body: unknown): string | null {
  if (typeof body === 'string') return body
  const content = (body as { readonly content?: unknown } | undefined)?.content
  return Buffer.isBuffer(content) ? content.toString('utf8') : null
}

export async function publishByAmqp10(brokerUrl: string): Promise<EventPublisher> {
  const { connection, lost, close } = await open(brokerUrl)
  const sender = connection.open_sender(topic)
  await Promise.race([once(sender, 'sendable'), lost])
  return {
    lost,
    async publish(events) {
      await Promise.all(events.map((event) => send({ sender, lost }, encode(event))))
    },
    [Symbol.asyncDispose]: close,
  }
}

/** The broker's configuration forwards by `amqp_routing_key`; an inbox may know the event by `amqp_message_id`. */
function encode(event: PaymentEvent): Message {
  return {
    durable: true,
    content_type: 'application/json',
    subject: event.topic,
    application_properties: { amqp_routing_key: event.topic, amqp_message_id: event.event },
    body: rhea.message.data_section(Buffer.from(JSON.stringify(event))),
  }
}

/** Resolves when the broker has it on its disk. */
async function send({ sender, lost }: Pick<Sending, 'sender' | 'lost'>, message: Message): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const sent = sender.send(message)
  const settled = ({ delivery }: EventContext) => {
    if (delivery !== sent) return
    sender.off('settled', settled)
    const kind = (delivery.remote_state?.constructor as { composite_type?: string } | undefined)?.composite_type
    if (kind === 'accepted') resolve()
    else reject(new Error(`the broker answered ${kind ?? 'nothing'}`))
  }
  sender.setMaxListeners(0)
  sender.on('settled', settled)
  await Promise.race([promise, lost])
}

interface Opened {
  readonly connection: Connection
  readonly lost: Promise<never>
  readonly close: () => Promise<void>
}

async function open(brokerUrl: string): Promise<Opened> {
  const { hostname, port, username, password, protocol } = new URL(brokerUrl.replace(/^amqp10/, 'http'))
  const { promise: lost, reject } = Promise.withResolvers<never>()
  lost.catch(() => undefined) // Whoever is interested awaits it.
  const container = rhea.create_container()
  container.on('error', reject)
  const connection = container.connect({
    host: hostname,
    port: Number(port || (protocol === 'https:' ? 5671 : 5672)),
    username: decodeURIComponent(username),
    password: decodeURIComponent(password),
    reconnect: false,
    idle_time_out: 30_000,
    ...(protocol === 'https:' ? { transport: 'tls', rejectUnauthorized: true } : {}),
  })
  for (const event of ['connection_error', 'connection_close', 'disconnected', 'receiver_error', 'sender_error']) {
    connection.on(event, () => reject(new Error(`the broker ended it: ${event}`)))
  }
  await Promise.race([once(connection, 'connection_open'), lost])
  return {
    connection,
    lost,
    async close() {
      if (!connection.is_open()) return
      const closed = Promise.race([once(connection, 'connection_close'), lost.catch(() => undefined)])
      connection.close()
      await closed
    },
  }
}
