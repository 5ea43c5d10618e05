/**
 * A durable value in a queue of its own: the message with the highest version is the value. A new one is stored before
 * the old ones are taken out, so a crash in between leaves two, of which the newer counts. Each has one kind of writer:
 * two at once would lose what one of them wrote.
 */
import { ReplatformError, toReplatformError } from '@replatform/core/errors'
import rhea, { type Connection, type EventContext, type Sender } from 'rhea'
import { answerOf } from './answer.ts'
import { browse } from './browse.ts'

const { message: codec } = rhea

export interface Recorded<T> {
  readonly version: number
  readonly value: T
}

/** Undefined where nothing was ever written. */
export async function readRecord<T>(connection: Connection, queue: string): Promise<Recorded<T> | undefined> {
  const all = (await browse(connection, queue)).map(({ body }) => parse<T>(body))
  return all.toSorted((a, b) => b.version - a.version)[0]
}

/** Durable when it resolves. Of two writers at once the one with the higher version wins. */
export async function writeRecord<T>(connection: Connection, queue: string, recorded: Recorded<T>): Promise<void> {
  await using writer = await RecordWriter.open<T>(connection, queue)
  await writer.write(recorded)
}

/** Writes between two removals: each of those costs the broker more than a write. */
const removeEvery = 25
/** Removals in a row that the broker may leave unanswered: what is left is harmless, but must not grow for ever. */
const lateMost = 3
const versionProperty = 'replatform_version'

/**
 * For a record that is written often: older versions are removed now and then, and when it is disposed of. A removal
 * that the broker does not answer is left to the next one, since readers take the newest; the third in a row throws
 * `activemq.no-answer`.
 */
export class RecordWriter<T> implements AsyncDisposable {
  readonly #connection: Connection
  readonly #queue: string
  readonly #sender: Sender
  readonly #withinMs: number | undefined
  #version = 0
  #writes = 0
  #lateRemovals = 0

  static async open<T>(connection: Connection, queue: string, options: { withinMs?: number } = {}) {
    const sender = connection.open_sender(`queue://${queue}`)
    await answerOf(sender, 'sendable', { what: `opening ${queue}`, ...options })
    return new RecordWriter<T>(connection, sender, { queue, ...options })
  }

  private constructor(connection: Connection, sender: Sender, options: { queue: string; withinMs?: number }) {
    this.#connection = connection
    this.#queue = options.queue
    this.#sender = sender
    this.#withinMs = options.withinMs
  }

  /** Durable when it resolves. One at a time. Throws `activemq.no-answer` when it may be there or not. */
  async write(recorded: Recorded<T>): Promise<void> {
    const { version } = recorded
    const application_properties = { [versionProperty]: rhea.types.wrap_long(version) }
    const body = codec.data_section(Buffer.from(JSON.stringify(recorded)))
    this.#sender.send({ durable: true, application_properties, body })
    const [answer] = await answerOf(this.#sender, 'settled', this.#asking('storing a record in'))
    requireAccepted((answer as EventContext).delivery?.remote_state, this.#queue)
    this.#version = version
    if (++this.#writes % removeEvery === 0) await this.#removeOlder()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#sender.close()
    if (this.#writes % removeEvery !== 0) await this.#removeOlder()
  }

  /** Never touches the newest: a reader must find it at every instant. */
  async #removeOlder(): Promise<void> {
    const filter = rhea.filter.selector(`${versionProperty} < ${this.#version}`)
    const source = { address: `queue://${this.#queue}`, filter }
    const receiver = this.#connection.open_receiver({ source, credit_window: 0 })
    receiver.on('receiver_open', () => {
      receiver.add_credit(100)
      receiver.drain_credit()
    })
    try {
      await answerOf(receiver, 'receiver_drained', this.#asking('removing old records from'))
      this.#lateRemovals = 0
    } catch (thrown) {
      if (toReplatformError(thrown).code !== 'activemq.no-answer' || ++this.#lateRemovals === lateMost) throw thrown
    } finally {
      receiver.close()
    }
  }

  #asking(work: string) {
    return { what: `${work} ${this.#queue}`, withinMs: this.#withinMs }
  }
}

function requireAccepted(state: unknown, queue: string): void {
  const kind = (state?.constructor as { composite_type?: string } | undefined)?.composite_type
  if (kind === 'accepted') return
  const { error } = (state ?? {}) as { error?: { condition?: string; description?: string } }
  throw new ReplatformError('activemq.refused', {
    message: `ActiveMQ refused a record for ${queue}: ${error?.condition ?? kind} ${error?.description ?? ''}.`,
  })
}

function parse<T>(body: unknown): Recorded<T> {
  return JSON.parse(String((body as { readonly content?: unknown } | undefined)?.content)) as Recorded<T>
}
