/** A queue of ActiveMQ as the bridge reads it on the way back. */
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import type { QueueReading, ReadOptions } from '@replatform/connector-rabbitmq/brokers'
import { writeProperties } from '@replatform/connector-rabbitmq/message-properties'
import { ReplatformError, toReplatformError } from '@replatform/core/errors'
import type { Connection, Delivery, EventContext, Message, Receiver, Session } from 'rhea'
import { answerOf } from './answer.ts'
import { restoreFromActivemq } from './message-restoring.ts'

/** The broker has put back what was held long before, or the connection ends with the mover. */
const closeWithinMs = 5_000

interface SessionOwner {
  create_session(): Session
}

export async function readActivemqQueue(
  connection: Connection,
  lost: Promise<never>,
  { queue, window, events }: ReadOptions,
): Promise<QueueReading> {
  const session = (connection as unknown as SessionOwner).create_session()
  session.begin()
  const receiver = session.open_receiver({ source: `queue://${queue}`, autoaccept: false, credit_window: 0 })
  await answerOf(receiver, 'receiver_open', { what: `opening ${queue} to read` })
  const reading = new ActivemqReading({ session, receiver, lost, options: { queue, window, events } })
  lost.catch((thrown) => reading.fail(toReplatformError(thrown)))
  return reading
}

class ActivemqReading implements QueueReading {
  readonly #session: Session
  readonly #receiver: Receiver
  readonly #lost: Promise<never>
  readonly #options: ReadOptions
  /** By delivery tag, in their order. */
  readonly #open = new Map<number, Delivery>()
  #tag = 0
  #owed = 0
  #isPaused = false
  #isOver = false

  constructor({ session, receiver, lost, options }: ReadingParts) {
    this.#session = session
    this.#receiver = receiver
    this.#lost = lost
    this.#options = options
    receiver.on('message', (context: EventContext) => this.#came(context))
    for (const event of ['receiver_error', 'receiver_close']) {
      receiver.on(event, () => this.fail(new Error(`ActiveMQ ended the reading of ${options.queue}`)))
    }
    receiver.add_credit(options.window)
  }

  acknowledge(deliveryTag: number): void {
    for (const [tag, delivery] of this.#open) {
      if (tag > deliveryTag) break
      delivery.accept()
      this.#open.delete(tag)
      this.#owed++
    }
    this.#giveCredit()
  }

  giveBack(deliveryTag: number): void {
    this.#open.get(deliveryTag)?.release()
    if (this.#open.delete(deliveryTag)) this.#owed++
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    this.#giveCredit()
  }

  async cancel(): Promise<void> {
    this.#isPaused = true
    const drained = answerOf(this.#receiver, 'receiver_drained', { what: `reading ${this.#options.queue} to its end` })
    drained.catch(() => undefined)
    this.#receiver.drain_credit()
    await Promise.race([drained, this.#lost.catch(() => undefined)])
  }

  async close(): Promise<void> {
    if (this.#isOver) return
    this.#isOver = true
    const closed = Promise.race([
      once(this.#session, 'session_close'),
      this.#lost.catch(() => undefined),
      delay(closeWithinMs, undefined, { ref: false }),
    ])
    // Before the session: the broker puts back what a link held when that link ends.
    this.#receiver.close()
    this.#session.close()
    await closed
  }

  fail(error: Error): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#options.events.failed(error)
  }

  #came({ message, delivery }: EventContext): void {
    if (this.#isOver || !message || !delivery) return
    const deliveryTag = ++this.#tag
    this.#open.set(deliveryTag, delivery)
    const { properties, exchange, routingKey, body } = restore(message, this.#options.queue)
    this.#options.events.message({
      queue: this.#options.queue,
      deliveryTag,
      redelivered: (message.delivery_count ?? 0) > 0,
      exchange,
      routingKey,
      properties: writeProperties(properties),
      body,
    })
  }

  /** In portions: a flow for every message would cost more than the message. */
  #giveCredit(): void {
    if (this.#isPaused || this.#isOver || this.#owed < this.#options.window / 4) return
    this.#receiver.add_credit(this.#owed)
    this.#owed = 0
  }
}

interface ReadingParts {
  readonly session: Session
  readonly receiver: Receiver
  readonly lost: Promise<never>
  readonly options: ReadOptions
}

function restore(message: Message, queue: string): ReturnType<typeof restoreFromActivemq> {
  try {
    return restoreFromActivemq(message, Date.now())
  } catch (cause) {
    throw new ReplatformError('activemq.refused', { message: `A message in ${queue} cannot be read.`, cause })
  }
}
