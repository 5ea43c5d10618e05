/**
 * A queue of the target as a small log of ours. Everything in it is held, delivered and not accepted, by the one mover
 * that has the name of the flow; accepting an entry removes it. When the mover dies the broker puts all of it back.
 */
import { once } from 'node:events'
import rhea, { type Connection, type Delivery, type EventContext, type Receiver, type Sender } from 'rhea'
import { answered, answerOf } from './answer.ts'

const { message: codec } = rhea

export interface HeldEntry {
  readonly body: Buffer
  /** Takes it out of the log, durably, though not at once. */
  remove(): void
}

/** A property that tells the end of what there was when we opened it. */
const endProperty = 'replatform_end'
/**
 * A queue that gives out hundreds of messages anew, because their last reader went, loads no others meanwhile, and then
 * forgets to, until the next message comes or its look for expired ones is due (30 s).
 */
const tellEveryMs = 100
const creditMost = 20_000
/** Thousands of entries come within seconds. */
const readWithinMs = 60_000
/**
 * More than is ever held at once. rhea keeps the deliveries of a session in a line of 2,048 unless told otherwise, and lets
 * none out before the oldest is settled: what is held would stop everything that comes in on the same session.
 */
const heldMost = 65_536

export class HeldLog {
  readonly #receiver: Receiver
  readonly #onEntry: { current: (entry: HeldEntry) => void }

  private constructor(receiver: Receiver, onEntry: { current: (entry: HeldEntry) => void }) {
    this.#receiver = receiver
    this.#onEntry = onEntry
  }

  /** Resolves with everything that was in it; later entries come to `onEntry`, in order. Creates the queue. */
  static async open(
    connection: Connection,
    queue: string,
    onEntry: (entry: HeldEntry) => void = () => {},
  ): Promise<{ log: HeldLog; entries: HeldEntry[] }> {
    const session = connection.create_session({ incoming: heldMost })
    session.begin()
    await answerOf(session, 'session_open', { what: `opening ${queue}` })
    const sender = session.open_sender(`queue://${queue}`)
    await sendable(sender, queue)
    const end = `${process.pid}-${Math.random()}`
    const entries: HeldEntry[] = []
    const { promise: complete, resolve } = Promise.withResolvers<void>()
    const receiver = session.open_receiver({
      source: `queue://${queue}`,
      autoaccept: false,
      credit_window: creditMost,
    })
    const sink: { current: (entry: HeldEntry) => void } = { current: (entry) => entries.push(entry) }
    receiver.on('message', ({ message, delivery }: EventContext) => {
      if (!message || !delivery) return
      const mark = message.application_properties?.[endProperty]
      // One that an earlier mover left behind says nothing.
      if (mark !== undefined) delivery.accept()
      if (mark === end) resolve()
      if (mark === undefined) sink.current(entryOf(message.body, delivery))
    })
    const tellEnd = () => sender.send({ durable: false, application_properties: { [endProperty]: end }, body: '' })
    tellEnd()
    const again = setInterval(() => (sender.is_open() ? tellEnd() : clearInterval(again)), tellEveryMs)
    try {
      await answered(complete, { what: `reading ${queue}`, withinMs: readWithinMs })
    } finally {
      clearInterval(again)
      sender.close()
    }
    sink.current = onEntry
    return { log: new HeldLog(receiver, sink), entries }
  }

  close(): void {
    this.#onEntry.current = () => {}
    // Before the session: the broker puts back what a link held when that link ends.
    this.#receiver.close()
    this.#receiver.session.close()
  }
}

/** As an entry is to be sent. */
export function encodeEntry(body: Buffer): Buffer {
  return codec.encode({ durable: true, body: codec.data_section(body) })
}

function entryOf(body: unknown, delivery: Delivery): HeldEntry {
  const content = (body as { readonly content?: unknown } | undefined)?.content
  return { body: Buffer.isBuffer(content) ? content : Buffer.alloc(0), remove: () => delivery.accept() }
}

async function sendable(sender: Sender, queue: string): Promise<void> {
  await Promise.race([
    answerOf(sender, 'sendable', { what: `opening ${queue}` }),
    once(sender, 'sender_error').then(() => Promise.reject(sender.error)),
  ])
}
