/**
 * A durable value in a queue of its own: the message with the highest version is the value. A new one is stored before
 * the old ones are taken out, so a crash in between leaves two, of which the newer counts. Each has one kind of writer:
 * two at once would lose what one of them wrote.
 */
import { once } from 'node:events'
import rhea, { type Connection, type Sender } from 'rhea'
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

/** For a record that is written often: older versions are removed now and then, and when it is disposed of. */
export class RecordWriter<T> implements AsyncDisposable {
  readonly #connection: Connection
  readonly #queue: string
  readonly #sender: Sender
  #version = 0
  #writes = 0

  static async open<T>(connection: Connection, queue: string): Promise<RecordWriter<T>> {
    const sender = connection.open_sender(`queue://${queue}`)
    await once(sender, 'sendable')
    return new RecordWriter(connection, queue, sender)
  }

  private constructor(connection: Connection, queue: string, sender: Sender) {
    this.#connection = connection
    this.#queue = queue
    this.#sender = sender
  }

  /** Durable when it resolves. One at a time. */
  async write(recorded: Recorded<T>): Promise<void> {
    const { version } = recorded
    const application_properties = { [versionProperty]: rhea.types.wrap_long(version) }
    const body = codec.data_section(Buffer.from(JSON.stringify(recorded)))
    this.#sender.send({ durable: true, application_properties, body })
    await once(this.#sender, 'accepted')
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
    await once(receiver, 'receiver_drained')
    receiver.close()
  }
}

/** Writes between two removals: each of those costs the broker more than a write. */
const removeEvery = 25
const versionProperty = 'replatform_version'

function parse<T>(body: unknown): Recorded<T> {
  return JSON.parse(String((body as { readonly content?: unknown } | undefined)?.content)) as Recorded<T>
}
