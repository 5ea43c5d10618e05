/**
 * A durable value in a queue of its own: the message with the highest version is the value. A new one is stored before
 * the old ones are taken out, so a crash in between leaves two, of which the newer counts. Each has one kind of writer:
 * two at once would lose what one of them wrote.
 */
import { once } from 'node:events'
import rhea, { type Connection } from 'rhea'
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
  const sender = connection.open_sender(`queue://${queue}`)
  await once(sender, 'sendable')
  const application_properties = { [versionProperty]: rhea.types.wrap_long(recorded.version) }
  const body = codec.data_section(Buffer.from(JSON.stringify(recorded)))
  sender.send({ durable: true, application_properties, body })
  await once(sender, 'accepted')
  sender.close()
  await removeOlder(connection, queue, recorded.version)
}

const versionProperty = 'replatform_version'

/** Never touches the newest: a reader must find it at every instant. */
async function removeOlder(connection: Connection, queue: string, version: number): Promise<void> {
  const filter = rhea.filter.selector(`${versionProperty} < ${version}`)
  const receiver = connection.open_receiver({ source: { address: `queue://${queue}`, filter }, credit_window: 0 })
  receiver.on('receiver_open', () => {
    receiver.add_credit(100)
    receiver.drain_credit()
  })
  await once(receiver, 'receiver_drained')
  receiver.close()
}

function parse<T>(body: unknown): Recorded<T> {
  return JSON.parse(String((body as { readonly content?: unknown } | undefined)?.content)) as Recorded<T>
}
