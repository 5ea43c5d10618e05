import { type AMQPChannel, AMQPClient } from '@cloudamqp/amqp-client'
import { expect, test } from 'vitest'
import { type RabbitmqServer, startRabbitmq } from './rabbitmq-server.ts'
import { processesIn } from './server-process.ts'

test('two nodes live side by side; what one confirmed survives its end by force', async () => {
  await using blue = await startRabbitmq({ definitions: { queues: [durableQueue('payments')] } })
  await using green = await startRabbitmq()
  await publish(blue, 'payments', 'top-up 20000')
  await blue.kill()
  await expect(read(blue, 'payments')).rejects.toThrow()
  await blue.restart()
  expect(await read(blue, 'payments')).toBe('top-up 20000')
  expect(await green.management.call('GET', 'queues')).toEqual([])
})

test('as on Amazon MQ: TLS and a password only, its policy, no streams; nothing is left afterwards', async () => {
  let folder = ''
  {
    await using server = await startRabbitmq({ flavour: 'amazon-mq' })
    folder = server.folder
    await withChannel(server, (channel) => channel.queueDeclare('payments', { durable: true }))
    await publish(server, 'payments', 'top-up 20000')
    expect(await read(server, 'payments')).toBe('top-up 20000')
    const policies = await server.management.call('GET', 'policies/%2F')
    expect(policies).toMatchObject([{ name: 'AWS-DEFAULT-POLICY-SINGLE-INSTANCE', priority: 0 }])
    const stream = (channel: AMQPChannel) => channel.queueDeclare('s', { durable: true }, { 'x-queue-type': 'stream' })
    await expect(withChannel(server, stream)).rejects.toThrow('stream')

    const withLogin = (login: { user?: string; password?: string }) => read(server, 'payments', server.url(login))
    await expect(withLogin({ password: 'wrong' })).rejects.toThrow('ACCESS_REFUSED')
    await expect(withLogin({ user: 'guest', password: 'guest' })).rejects.toThrow('ACCESS_REFUSED')
    await expect(read(server, 'payments', server.url().replace('amqps:', 'amqp:'))).rejects.toThrow()
    expect(await processesIn(folder)).not.toEqual([])
  }
  expect(await processesIn(folder)).toEqual([])
})

test('what Amazon MQ does not permit is refused before anything starts', async () => {
  const started = startRabbitmq({
    flavour: 'amazon-mq',
    plugins: ['rabbitmq_stream'],
    settings: { 'vm_memory_high_watermark.relative': '0.9' },
  })
  await expect(started).rejects.toThrow('rabbitmq_stream, vm_memory_high_watermark.relative')
})

function durableQueue(name: string): object {
  return { name, vhost: '/', durable: true, auto_delete: false, arguments: {} }
}

async function publish(server: RabbitmqServer, queue: string, text: string): Promise<void> {
  await withChannel(server, async (channel) => {
    await channel.confirmSelect()
    await channel.basicPublish('', queue, text, { deliveryMode: 2 })
  })
}

async function read(server: RabbitmqServer, queue: string, url = server.url()): Promise<string | null | undefined> {
  return withChannel(server, async (channel) => (await channel.basicGet(queue, { noAck: false }))?.bodyString(), url)
}

async function withChannel<T>(
  server: RabbitmqServer,
  use: (channel: AMQPChannel) => Promise<T>,
  url = server.url(),
): Promise<T> {
  const client = new AMQPClient(url, server.authority === undefined ? undefined : { ca: server.authority })
  const connection = await client.connect()
  try {
    return await use(await connection.channel())
  } finally {
    await connection.close().catch(() => {})
  }
}
