import { type AMQPChannel, AMQPClient } from '@cloudamqp/amqp-client'

/** One connection with one channel in confirm mode; `lost` rejects when it drops. */
export interface BrokerChannel extends AsyncDisposable {
  readonly channel: AMQPChannel
  readonly lost: Promise<never>
}

export async function openBroker(url: string, name: string): Promise<BrokerChannel> {
  const client = new BoundClient(url)
  client.name = name
  client.heartbeat = 10
  client.logger = undefined
  const { promise: lost, reject } = Promise.withResolvers<never>()
  lost.catch(() => undefined) // Whoever is interested awaits it.
  client.ondisconnect = (error) => reject(error ?? new Error('the broker closed the connection'))
  client.onerror = reject
  const connection = await client.connect()
  const channel = await connection.channel()
  channel.onerror = (reason) => reject(new Error(`the broker closed the channel: ${reason}`))
  await channel.confirmSelect()
  return {
    channel,
    lost,
    async [Symbol.asyncDispose]() {
      if (!connection.closed) await connection.close().catch(() => undefined)
    },
  }
}

/**
 * The driver (4.1.1) hands on its `rejectConnect` without the object it belongs to. A connection that drops while it is
 * being opened would then end the process, by a rejection that nobody can handle.
 */
class BoundClient extends AMQPClient {
  constructor(url: string) {
    super(url)
    const driver = this as unknown as { rejectConnect: (error: Error) => void }
    driver.rejectConnect = driver.rejectConnect.bind(this)
  }
}
