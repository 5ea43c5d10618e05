import { access } from 'node:fs/promises'
import type { MongoClient } from 'mongodb'
import { expect, test } from 'vitest'
import { type MongodbReplicaSet, startMongodb } from './mongodb-server.ts'
import { pollUntil } from './poll-until.ts'

test('mongod streams changes, keeps what was acknowledged over a kill, and leaves nothing', async () => {
  const set = await startMongodb()
  {
    await using _ = set
    await using client = await set.connect()
    const customers = client.db('profiles').collection<{ _id: number }>('customers')
    await using changes = customers.watch()
    const change = changes.next()
    await pollUntil('the stream sees a document', async () => {
      await customers.replaceOne({ _id: 1 }, { name: 'Lan' }, { upsert: true })
      return await Promise.race([change, undefined])
    })
    await customers.insertOne({ _id: 2 }, { writeConcern: { w: 'majority', j: true } })
    await set.kill()
    await set.restart()
    await using again = await set.connect()
    expect(await again.db('profiles').collection('customers').countDocuments()).toBe(2)
  }
  expect(set.running).toBe(false)
  for (const { folder } of set.members) await expect(access(folder)).rejects.toThrow('ENOENT')
})

test('nobody gets in with a wrong password or none, nor without TLS or with another authority', async () => {
  await using set = await startMongodb({ tls: true })
  await using client = await set.connect()
  await client.db('profiles').collection('customers').insertOne({})
  await expect(set.connect(set.url('', 'rig', 'wrong'))).rejects.toMatchObject({ code: 18 })
  await using unknown = await set.connect(set.url().replace(/\/\/.*@/, '//'))
  await expect(unknown.db('profiles').collection('customers').findOne()).rejects.toMatchObject({ code: 13 })
  const quickly = { serverSelectionTimeoutMS: 500 }
  await expect(set.connect(set.url().replace('tls=true', 'tls=false'), quickly)).rejects.toThrow()
  await expect(set.connect(set.url(), { ...quickly, ca: [] })).rejects.toThrow(/self-signed|unable to (get|verify)/)
})

test('of three members the killed one is replaced', async () => {
  await using set = await startMongodb({ members: 3 })
  await using client = await set.connect(set.url(), { serverSelectionTimeoutMS: 20_000 })
  const customers = client.db('profiles').collection('customers')
  await customers.insertOne({}, { writeConcern: { w: 'majority' } })
  const first = await set.primary()
  await first.kill()
  await pollUntil('a write gets through', () => customers.insertOne({}, { writeConcern: { w: 'majority' } }))
  expect((await set.primary()).port).not.toBe(first.port)
  expect(await customers.countDocuments()).toBeGreaterThan(1)
})

test.each([false, true])('the model of DocumentDB refuses what is not there; with TLS: %s', async (tls) => {
  await using set = await startMongodb({ flavour: 'documentdb', tls })
  await using client = await set.connect()
  const customers = client.db('profiles').collection('customers')
  await customers.insertMany([{ name: 'Lan', note: { $where: 'is only text' } }, { name: 'Minh' }])
  expect(await customers.aggregate([{ $match: { name: 'Lan' } }, { $count: 'n' }]).toArray()).toEqual([{ n: 1 }])
  await customers.createIndex({ name: 1 }, { unique: true })
  await refuses(client, 304, { aggregate: 'customers', pipeline: [{ $facet: { a: [] } }], cursor: {} })
  await refuses(client, 303, { aggregate: 'customers', pipeline: [{ $set: { n: { $round: [1.5] } } }], cursor: {} })
  await refuses(client, 303, { find: 'customers', filter: { $where: 'true' } })
  await refuses(client, 303, { create: 'events', capped: true, size: 4096 })
  await refuses(client, 73, { create: 'x'.repeat(58) })
  await refuses(client, 59, { mapReduce: 'customers', map: '', reduce: '', out: { inline: 1 } })
  await refuses(client, 303, { createIndexes: 'customers', indexes: [{ name: 'h', key: { name: 'hashed' } }] })
  await expect(customers.updateMany({ $where: 'true' }, { $set: { a: 1 } })).rejects.toMatchObject({ code: 303 })
  await expect(client.db('local').collection('oplog.rs').findOne()).rejects.toMatchObject({ code: 303 })
  expect(await countBehind(set)).toBe(2)
})

async function refuses(client: MongoClient, code: number, command: Record<string, unknown>): Promise<void> {
  await expect(client.db('profiles').command(command), Object.keys(command)[0]).rejects.toMatchObject({ code })
}

async function countBehind(set: MongodbReplicaSet): Promise<number> {
  await using client = await set.connect(set.adminUrl)
  return await client.db('profiles').collection('customers').countDocuments()
}
