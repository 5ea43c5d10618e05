/** Consumers of ActiveMQ as applications have them, for the tests here. */
import { once } from 'node:events'
import type { ActivemqServer } from '@replatform/testkit/activemq-server'
import rhea, { type Connection, type EventContext, type Message } from 'rhea'
import stompit from 'stompit'

export async function connectAmqp(server: ActivemqServer): Promise<Connection & AsyncDisposable> {
  const { host, port, user, password, authority } = server
  const connection = rhea.create_container().connect({
    host,
    port,
    username: user,
    password,
    reconnect: false,
    ...(authority === undefined ? {} : { transport: 'tls', ca: authority }),
  })
  await once(connection, 'connection_open')
  return Object.assign(connection, {
    async [Symbol.asyncDispose]() {
      const closed = once(connection, 'connection_close')
      connection.close()
      await closed
    },
  })
}

export async function sendEncoded(server: ActivemqServer, address: string, encoded: Buffer): Promise<void> {
  await using connection = await connectAmqp(server)
  const sender = connection.open_sender(address)
  await once(sender, 'sendable')
  sender.send(encoded as unknown as Message, undefined as unknown as Buffer, 0)
  await once(sender, 'accepted')
}

export async function receiveOverAmqp(server: ActivemqServer, address: string): Promise<Message> {
  await using connection = await connectAmqp(server)
  const [{ message }] = (await once(connection.open_receiver(address), 'message')) as [EventContext]
  if (!message) throw new Error('a delivery without a message')
  return message
}

export interface StompMessage {
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

/** Acknowledges each by itself and waits a little for what should not come. */
export async function receiveOverStomp(
  { host, stompPort: port, user: login, password: passcode }: ActivemqServer,
  destination: string,
  count: number,
): Promise<StompMessage[]> {
  const { promise, resolve, reject } = Promise.withResolvers<StompMessage[]>()
  const messages: StompMessage[] = []
  stompit.connect({ host, port, connectHeaders: { host: '/', login, passcode } }, (error, client) => {
    if (error) return reject(error)
    client.on('error', reject)
    client.subscribe({ destination, ack: 'client-individual' }, (failure, message) => {
      if (failure) return reject(failure)
      const chunks: Buffer[] = []
      message.on('data', (chunk: Buffer) => chunks.push(chunk))
      message.on('end', () => {
        messages.push({ headers: { ...(message as unknown as StompMessage).headers }, body: Buffer.concat(chunks) })
        client.ack(message)
        if (messages.length === count) setTimeout(() => client.disconnect(() => resolve(messages)), 200)
      })
    })
  })
  return await promise
}

/** Takes so many bodies, as text, in their order; then waits a little for more. */
export async function drainOverAmqp(server: ActivemqServer, address: string, count: number): Promise<string[]> {
  await using connection = await connectAmqp(server)
  const { promise, resolve } = Promise.withResolvers<void>()
  const bodies: string[] = []
  const receiver = connection.open_receiver({ source: address, credit_window: 500 })
  receiver.on('message', ({ message }: EventContext) => {
    bodies.push(String((message?.body as { content: Buffer } | undefined)?.content))
    if (bodies.length >= count) setTimeout(resolve, 100)
  })
  await promise
  return bodies
}
