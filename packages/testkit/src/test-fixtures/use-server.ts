/**
 * Uses a server of the named kind as a test would, and says what came back and how its end was refused: run where a
 * `RIG_…_URL` names one that another process has started.
 *
 *   node use-server.ts rabbitmq
 */
import { once } from 'node:events'
import type { EventContext } from 'rhea'
import type { SearchServer } from '../search-server.ts'

interface Used {
  /** What was put into it and came back. */
  readonly answer: unknown
  readonly server: { kill(): Promise<void> }
}

/** Each loads its own driver and no other, since all together take longer than their work. */
const uses: Readonly<Record<string, () => Promise<Used>>> = {
  async 'postgresql-17'() {
    const { startPostgresql } = await import('../postgresql-server.ts')
    const server = await startPostgresql({ major: 17 })
    return { server, answer: (await server.query<{ text: string }>("SELECT 'given' AS text"))[0]?.text }
  },
  async 'mariadb'() {
    const { startMariadb } = await import('../mariadb-server.ts')
    const server = await startMariadb()
    return { server, answer: (await server.query<{ text: string }>("SELECT 'given' AS text"))[0]?.text }
  },
  async 'redis'() {
    const { startRedis } = await import('../redis-server.ts')
    const server = await startRedis()
    await server.command('SET', 'use-server', 'given')
    return { server, answer: await server.command('GET', 'use-server') }
  },
  async 'mongodb'() {
    const { startMongodb } = await import('../mongodb-server.ts')
    const server = await startMongodb()
    await using client = await server.connect()
    const documents = client.db('rig').collection('use-server')
    await documents.insertOne({ text: 'given' }, { writeConcern: { w: 'majority' } })
    return { server, answer: (await documents.findOne())?.text }
  },
  async 'rabbitmq'() {
    const { startRabbitmq } = await import('../rabbitmq-server.ts')
    const server = await startRabbitmq()
    await server.management.call('GET', 'overview')
    const { AMQPClient } = await import('@cloudamqp/amqp-client')
    const client = new AMQPClient(server.url(), server.authority === undefined ? undefined : { ca: server.authority })
    const channel = await (await client.connect()).channel()
    await channel.queueDeclare('use-server', { durable: true })
    await channel.confirmSelect()
    await channel.basicPublish('', 'use-server', 'given', { deliveryMode: 2 })
    const message = await channel.basicGet('use-server', { noAck: true })
    await client.close()
    return { server, answer: message?.bodyString() }
  },
  async 'activemq'() {
    const { startActivemq } = await import('../activemq-server.ts')
    const server = await startActivemq()
    const { host, port, user: username, password, authority: ca } = server
    const tls = ca === undefined ? {} : { transport: 'tls' as const, ca, servername: 'localhost' }
    const { default: rhea } = await import('rhea')
    const connection = rhea.create_container().connect({ host, port, username, password, reconnect: false, ...tls })
    const sender = connection.open_sender('queue://use-server')
    await once(sender, 'sendable')
    sender.send({ body: 'given', durable: true })
    await once(sender, 'accepted')
    const { size } = (await server.statistics.queue('use-server')) ?? {}
    const [{ message }] = (await once(connection.open_receiver('queue://use-server'), 'message')) as [EventContext]
    connection.close()
    return { server, answer: size === 1 ? message?.body : `the queue has ${size}` }
  },
  async 'elasticsearch'() {
    const { startElasticsearch } = await import('../elasticsearch-server.ts')
    return search(await startElasticsearch())
  },
  async 'opensearch'() {
    const { startOpensearch } = await import('../opensearch-server.ts')
    return search(await startOpensearch())
  },
  async 'aws'() {
    const { startAwsEmulator } = await import('../aws-emulator.ts')
    const server = await startAwsEmulator()
    await server.isReady()
    return { server, answer: 'given' }
  },
}

async function search(server: SearchServer): Promise<Used> {
  await server.request('PUT', 'use-server/_doc/1?refresh=true', { text: 'given' })
  const { body } = await server.request('GET', 'use-server/_doc/1')
  return { server, answer: (body as { _source?: { text: string } })._source?.text }
}

const [kind = ''] = process.argv.slice(2)
const use = uses[kind]
if (!use) throw new Error(`nobody knows how to use ${kind}`)
const { answer, server } = await use()
const refusal = await server.kill().then(
  () => 'it was killed',
  (error: Error) => error.message,
)
console.log(JSON.stringify({ answer, refusal }))
