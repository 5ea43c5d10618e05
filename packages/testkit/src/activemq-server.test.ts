import { once } from 'node:events'
import rhea, { type Connection, type EventContext } from 'rhea'
import { expect, test } from 'vitest'
import { forbiddenByAmazonMq } from './activemq-amazon-mq.ts'
import { type ActivemqServer, startActivemq } from './activemq-server.ts'
import { stompLogin } from './activemq-stomp.ts'
import { processesIn } from './server-process.ts'

const withVirtualTopic = `<broker xmlns="http://activemq.apache.org/schema/core" schedulerSupport="true">
  <destinations><queue physicalName="Consumer.risk.VirtualTopic.payments"/></destinations>
  <plugins><statisticsBrokerPlugin/></plugins>
</broker>`

test('as on Amazon MQ: TLS and a password only; what a virtual topic confirmed survives an end by force', async () => {
  let folder = ''
  {
    await using server = await startActivemq({ flavour: 'amazon-mq', configuration: withVirtualTopic })
    folder = server.folder
    await send(server, 'topic://VirtualTopic.payments', 'top-up 20000')
    await server.kill()
    await server.restart()
    const queue = 'Consumer.risk.VirtualTopic.payments'
    expect(await server.statistics.queue(queue)).toMatchObject({ size: 1, consumers: 0 })
    expect(await receive(server, `queue://${queue}`)).toBe('top-up 20000')
    expect(await server.statistics.queue('nowhere')).toBeUndefined()

    const { host, stompPort: port, user, authority: ca } = server
    await expect(stompLogin({ host, port, user, password: 'wrong', ca })).rejects.toThrow('refused')
    await expect(stompLogin({ host, port, user, password: server.password, ca: undefined })).rejects.toThrow()
    await expect(send(server, 'queue://payments', 'x', { password: 'wrong' })).rejects.toThrow()
    expect(await processesIn(folder)).not.toEqual([])
  }
  expect(await processesIn(folder)).toEqual([])
})

test('a plain broker keeps priorities', async () => {
  await using server = await startActivemq()
  await send(server, 'queue://notifications', 'newsletter')
  await send(server, 'queue://notifications', 'one-time code', { priority: 9 })
  expect(await receive(server, 'queue://notifications')).toBe('one-time code')
})

test('what Amazon MQ would take out of a configuration is named', () => {
  expect(forbiddenByAmazonMq(withVirtualTopic)).toEqual([])
  expect(
    forbiddenByAmazonMq(`<broker dataDirectory="/data" schedulerSupport="true">
      <!-- <bean/> -->
      <persistenceAdapter><kahaDB directory="/data"/></persistenceAdapter>
      <plugins><simpleAuthenticationPlugin><users/></simpleAuthenticationPlugin></plugins>
    </broker>`),
  ).toEqual(['broker@dataDirectory', 'kahaDB@directory', 'simpleAuthenticationPlugin', 'users'])
})

async function send(
  server: ActivemqServer,
  address: string,
  text: string,
  { password, priority = 4 }: { readonly password?: string; readonly priority?: number } = {},
): Promise<void> {
  await using connection = await connect(server, password)
  const sender = connection.open_sender(address)
  await once(sender, 'sendable')
  sender.send({ body: text, durable: true, priority })
  await once(sender, 'accepted')
}

async function receive(server: ActivemqServer, address: string): Promise<unknown> {
  await using connection = await connect(server)
  const [{ message }] = (await once(connection.open_receiver(address), 'message')) as [EventContext]
  return message?.body
}

async function connect(server: ActivemqServer, password = server.password): Promise<Connection & AsyncDisposable> {
  const { host, port, user: username, authority } = server
  const tls = authority === undefined ? {} : { transport: 'tls' as const, ca: authority, servername: 'localhost' }
  const connection = rhea.create_container().connect({ host, port, username, password, reconnect: false, ...tls })
  // Without anybody listening, rhea prints it.
  connection.on('disconnected', () => {})
  await Promise.race([
    once(connection, 'connection_open'),
    once(connection, 'disconnected').then(() => Promise.reject(new Error('The broker closed the connection'))),
  ])
  return Object.assign(connection, {
    async [Symbol.asyncDispose]() {
      const closed = once(connection, 'connection_close')
      connection.close()
      await closed
    },
  })
}
