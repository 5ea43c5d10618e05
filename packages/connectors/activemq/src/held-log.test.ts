import { once } from 'node:events'
import { type ActivemqServer, startActivemq } from '@replatform/testkit/activemq-server'
import { pollUntil } from '@replatform/testkit/poll-until'
import { startTcpProxy } from '@replatform/testkit/tcp-proxy'
import type { Message } from 'rhea'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseActivemqAddress } from './address.ts'
import { openConnection } from './broker-connection.ts'
import { encodeEntry, HeldLog } from './held-log.ts'
import { RecordWriter, readRecord, writeRecord } from './record-queue.ts'
import { connectAmqp } from './test-fixtures/consumers.ts'

let server: ActivemqServer
beforeAll(async () => {
  server = await startActivemq()
})
afterAll(async () => await server[Symbol.asyncDispose]())

/** More than rhea keeps of one session unless it is told otherwise, and than the broker loads of a queue at once. */
const many = 2_500

test('what is held stops nothing else on its connection, however much it is, and is there again', async () => {
  await using held = await openConnection({
    address: parseActivemqAddress(server.url()),
    side: 'target',
    name: 'holds-much',
  })
  const { connection } = held
  let came = 0
  const { log, entries } = await HeldLog.open(connection, 'log', () => came++)
  expect(entries).toEqual([])
  await fill('log')
  await pollUntil('all entries came', () => came === many)

  await using writer = await RecordWriter.open<number>(connection, 'record')
  for (let version = 1; version <= 30; version++) await writer.write({ version, value: version })
  expect(await readRecord(connection, 'record')).toEqual({ version: 30, value: 30 })

  log.close()
  const again = await HeldLog.open(connection, 'log')
  expect(again.entries.map(({ body }) => String(body))).toEqual(Array.from({ length: many }, (_, n) => `entry ${n}`))
  again.log.close()
}, 60_000)

test('a broker that answers no more is told by name, and what was left is removed when it answers again', async () => {
  await using proxy = await startTcpProxy(server)
  const address = parseActivemqAddress(proxy.url(server.url()))
  await using held = await openConnection({ address, side: 'target', name: 'silent' })
  {
    await using writer = await RecordWriter.open<number>(held.connection, 'silent', { withinMs: 300 })
    for (let version = 1; version <= 3; version++) await writer.write({ version, value: version })
    proxy.blackhole()
    await expect(writer.write({ version: 4, value: 4 })).rejects.toMatchObject({ code: 'activemq.no-answer' })
  }
  proxy.restore()
  await writeRecord(held.connection, 'silent', { version: 5, value: 5 })
  expect(await readRecord(held.connection, 'silent')).toEqual({ version: 5, value: 5 })
  await pollUntil('older ones are gone', async () => (await server.statistics.queue('silent'))?.size === 1)
})

async function fill(queue: string): Promise<void> {
  await using connection = await connectAmqp(server)
  const sender = connection.open_sender(`queue://${queue}`)
  let accepted = 0
  sender.on('accepted', () => accepted++)
  for (let n = 0; n < many; n++) {
    while (!sender.sendable()) await once(sender, 'sendable')
    sender.send(encodeEntry(Buffer.from(`entry ${n}`)) as unknown as Message, undefined as unknown as Buffer, 0)
  }
  await pollUntil('the broker has all entries', () => accepted === many)
}
