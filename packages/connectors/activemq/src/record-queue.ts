/**
 * A durable value in a queue of its own: the message with the highest version is the value. A new one is stored before
 * the old ones are taken out, so a crash in between leaves two, of which the newer counts.
 */
import { once } from 'node:events'
import rhea, { type Connection, type EventContext } from 'rhea'
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
  sender.send({ durable: true, body: codec.data_section(Buffer.from(JSON.stringify(recorded))) })
  await once(sender, 'accepted')
  sender.close()
  await removeOlder(connection, queue, recorded.version)
}

async function removeOlder(connection: Connection, queue: string, version: number): Promise<void> {
  const receiver = connection.open_receiver({ source: `queue://${queue}`, autoaccept: false, credit_window: 0 })
  receiver.on('message', ({ message, delivery }: EventContext) => {
    if (parse(message?.body).version < version) delivery?.accept()
    else delivery?.release()
  })
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
