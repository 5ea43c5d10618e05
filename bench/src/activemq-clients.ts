/**
 * Bare producers of ActiveMQ, as fast as each setting goes: what the bridge is held against. Those of several connections
 * keep no order among them.
 */
import { once } from 'node:events'
import { TransactionalSession } from '@replatform/connector-activemq/transactional-session'
import type { ActivemqServer } from '@replatform/testkit/activemq-server'
import { pollUntil } from '@replatform/testkit/poll-until'
import rhea, { type Connection, type Sender } from 'rhea'

const { message: codec } = rhea

export type ProducerSetting =
  | { readonly kind: 'window'; readonly connections: number; readonly window: number }
  | { readonly kind: 'transactions'; readonly connections: number; readonly messages: number }

export const producerSettings: readonly ProducerSetting[] = [
  { kind: 'window', connections: 1, window: 1_000 },
  { kind: 'window', connections: 4, window: 500 },
  { kind: 'transactions', connections: 1, messages: 1_000 },
  { kind: 'transactions', connections: 4, messages: 1_000 },
]

export function nameOf(setting: ProducerSetting): string {
  const connections = setting.connections === 1 ? 'one connection' : `${setting.connections} connections`
  if (setting.kind === 'transactions') return `${connections} with transactions of ${setting.messages}`
  return `${connections} with ${setting.window} unconfirmed`
}

/** Durable messages a second, each confirmed. */
export async function fillActivemq(
  server: ActivemqServer,
  { queue, count, bytes, setting }: { queue: string; count: number; bytes: number; setting: ProducerSetting },
): Promise<number> {
  const encoded = codec.encode({ durable: true, body: codec.data_section(Buffer.alloc(bytes, 'x')) })
  const { connections } = setting
  const opened = await Promise.all(Array.from({ length: connections }, () => connect(server)))
  const share = Math.floor(count / connections)
  const startedAt = performance.now()
  try {
    await Promise.all(
      opened.map(async (connection) =>
        setting.kind === 'window'
          ? sendWindowed(connection, { queue, count: share, window: setting.window, encoded })
          : sendInTransactions(connection, { queue, count: share, messages: setting.messages, encoded }),
      ),
    )
    return (share * connections * 1_000) / (performance.now() - startedAt)
  } finally {
    for (const connection of opened) connection.close()
  }
}

/** Until so many have come to the queue; answers how many have. */
export async function untilOnActivemq(server: ActivemqServer, queue: string, count: number): Promise<number> {
  const come = async () => {
    const { enqueued = 0 } = (await server.statistics.queue(queue)) ?? {}
    return enqueued >= count ? enqueued : undefined
  }
  return await pollUntil(`${count} are in ${queue}`, come, { withinMs: 600_000, everyMs: 100 })
}

interface Sending {
  readonly queue: string
  readonly count: number
  readonly encoded: Buffer
}

async function sendWindowed(
  connection: Connection,
  { queue, count, window, encoded }: Sending & { readonly window: number },
): Promise<void> {
  const sender = connection.open_sender(`queue://${queue}`)
  let sent = 0
  let accepted = 0
  const { promise, resolve } = Promise.withResolvers<void>()
  const push = () => {
    while (sent < count && sent - accepted < window && sender.sendable()) {
      sender.send(encoded as never, undefined as never, 0)
      sent++
    }
  }
  sender.on('sendable', push)
  sender.on('accepted', () => {
    accepted++
    if (accepted === count) resolve()
    else push()
  })
  await promise
}

async function sendInTransactions(
  connection: Connection,
  { queue, count, messages, encoded }: Sending & { readonly messages: number },
): Promise<void> {
  const session = await TransactionalSession.open(connection)
  const sender = await session.openSender(`queue://${queue}`)
  for (let done = 0; done < count; done += messages) {
    const size = Math.min(messages, count - done)
    const id = await session.declare()
    await Promise.all(Array.from({ length: size }, () => transfer(session, sender, encoded, id)))
    await session.commit(id)
  }
}

function transfer(session: TransactionalSession, sender: Sender, encoded: Buffer, id: Buffer): Promise<unknown> {
  return new Promise((resolve) => session.sendWhenPossible(sender, encoded, id, resolve))
}

async function connect({ host, port, user, password }: ActivemqServer): Promise<Connection> {
  const options = { host, port, username: user, password, reconnect: false }
  const connection = rhea.create_container().connect(options)
  // The broker ends first, and rhea would print that.
  connection.on('disconnected', () => {})
  await once(connection, 'connection_open')
  return connection
}
