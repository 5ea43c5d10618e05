import { type AMQPChannel, AMQPClient } from '@cloudamqp/amqp-client'
import { expect, test } from 'vitest'
import { startRabbitmq } from './rabbitmq-server.ts'

test('two nodes live side by side; what one confirmed survives its end by force', async () => {
  await using blue = await startRabbitmq({ definitions: { queues: [durableQueue('payments')] } })
  await using green = await startRabbitmq()
  await publish(blue.url(), 'payments', 'top-up 20000')
  await blue.kill()
  await expect(read(blue.url(), 'payments')).rejects.toThrow()
  await blue.restart()
  expect(await read(blue.url(), 'payments')).toBe('top-up 20000')
  expect(await green.management.call('GET', 'queues')).toEqual([])
})

test('nobody gets in without the password, and nothing is left afterwards', async () => {
  let pid = 0
  {
    await using server = await startRabbitmq()
    pid = server.pid
    await expect(read(server.url({ password: 'wrong' }), 'payments')).rejects.toThrow('ACCESS_REFUSED')
    await expect(read(server.url({ user: 'guest', password: 'guest' }), 'payments')).rejects.toThrow('ACCESS_REFUSED')
  }
  expect(() => process.kill(pid, 0)).toThrow('ESRCH')
})

function durableQueue(name: string): object {
  return { name, vhost: '/', durable: true, auto_delete: false, arguments: {} }
}

async function publish(url: string, queue: string, text: string): Promise<void> {
  await withChannel(url, async (channel) => {
    await channel.confirmSelect()
    await channel.basicPublish('', queue, text, { deliveryMode: 2 })
  })
}

async function read(url: string, queue: string): Promise<string | null | undefined> {
  return withChannel(url, async (channel) => (await channel.basicGet(queue, { noAck: false }))?.bodyString())
}

async function withChannel<T>(url: string, use: (channel: AMQPChannel) => Promise<T>): Promise<T> {
  const client = new AMQPClient(url)
  const connection = await client.connect()
  try {
    return await use(await connection.channel())
  } finally {
    await connection.close()
  }
}
