/**
 * Goal: changes of a profile happen once and in their order; what a move of MongoDB could damage is found.
 * Method: one short load on a real replica set; each test damages one document, expects the verdict, and puts it back.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type MongodbReplicaSet, startMongodb } from '@replatform/testkit/mongodb-server'
import { type Db, type Filter, Long, type MongoClient, type OptionalId } from 'mongodb'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { JournalWriter } from '../journal.ts'
import { LoadClock } from '../load-clock.ts'
import { OperationStatistics } from '../operation-statistics.ts'
import { PatientClient } from '../patient-client.ts'
import { SeededRandom } from '../seeded-random.ts'
import { judgeProfiles, type ProfilesCorruption } from './judge-profiles.ts'
import type { NotificationDocument, ProfileDocument } from './profile-documents.ts'
import { createProfileIndexes, ProfileStore } from './profile-store.ts'
import type { ProfilesLine } from './profiles-journal.ts'
import { ProfilesLoad } from './profiles-load.ts'
import { createProfilesServer } from './profiles-server.ts'

const directory = mkdtempSync(join(tmpdir(), 'profiles-'))
const journal = join(directory, 'profiles.journal')
let mongodb: MongodbReplicaSet
let client: MongoClient
let database: Db
let store: ProfileStore
let url: string
let app: ReturnType<typeof createProfilesServer>

beforeAll(async () => {
  mongodb = await startMongodb()
  client = await mongodb.connect(mongodb.url('profiles'), { promoteLongs: false })
  database = client.db('profiles')
  await createProfileIndexes(database)
  store = new ProfileStore({ url: databaseUrl(), answerMs: 10_000, notificationMs: 3_600_000 })
  app = createProfilesServer(store)
  await app.listen({ host: '127.0.0.1', port: 0 })
  url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
  await visitForAWhile()
}, 180_000)
afterAll(async () => {
  await app.close()
  await store.close()
  await client.close()
  await mongodb[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true })
})

function databaseUrl(): string {
  const address = new URL(mongodb.url('profiles'))
  // Users of the rig are those of the whole server.
  if (!address.searchParams.has('authSource')) address.searchParams.set('authSource', 'admin')
  return address.href
}

async function visitForAWhile(): Promise<void> {
  const writer = new JournalWriter<ProfilesLine>(journal)
  using patient = new PatientClient({ url, timeoutMs: 30_000, attempts: 3 })
  const clock = new LoadClock()
  const statistics = new OperationStatistics()
  const load = new ProfilesLoad({ client: patient, journal: writer, clock, random: new SeededRandom(3), statistics })
  writer.write(clock.runLine(3, 100))
  // In rounds, since most visits do more when an earlier one has ended: a slow machine shall bring about the same.
  for (let round = 0; round < 25; round++) {
    await Promise.all(Array.from({ length: 10 }, () => load.visit(clock.nowMs())))
  }
  writer.close()
  expect(statistics.differing).toBe(0)
  expect(statistics.figures()).toMatchObject({ change: { unknown: 0, refused: 0 }, departure: { unknown: 0 } })
}

type Found = Partial<Record<ProfilesCorruption, number>>

async function found(): Promise<Found> {
  const verdict = await judgeProfiles({ journals: [journal], url: databaseUrl() })
  return Object.fromEntries(Object.entries(verdict.found).filter(([, count]) => count > 0))
}

/** What is found while one document is another, or is not there. */
async function foundWith<Document extends { _id: unknown }>(
  collection: string,
  filter: Filter<Document>,
  change: (document: Document) => Document | undefined,
): Promise<Found> {
  const documents = database.collection<Document>(collection)
  const original = (await documents.findOne(filter)) as Document | null
  if (original === null) return expect.fail('no such document in this load')
  const byId = { _id: original._id } as Filter<Document>
  const changed = change(original)
  await documents.deleteOne(byId)
  if (changed) await documents.insertOne(changed as OptionalId<Document> as never)
  try {
    return await found()
  } finally {
    await documents.deleteOne(byId)
    await documents.insertOne(original as never)
  }
}

const profile = async (change: (document: ProfileDocument) => ProfileDocument | undefined) =>
  await foundWith<ProfileDocument>('profiles', { version: { $gt: 1 }, 'papers.0': { $exists: true } }, change)
const notification = async (change: (document: NotificationDocument) => NotificationDocument | undefined) =>
  await foundWith<NotificationDocument>('notifications', {}, change)

test('nothing is found where nobody has touched anything', async () => {
  expect(await found()).toEqual({})
  const { judged } = await judgeProfiles({ journals: [journal], url: databaseUrl() })
  expect(judged.profiles).toBeGreaterThan(50)
  expect(judged.notifications).toBeGreaterThan(20)
})

describe('a change', () => {
  const put = (key: string, version: number, city: string) =>
    store.describe({ account: 7, version, key }, { name: 'Bình', phone: '+847', city })

  test('happens once however often it is asked, and never on another version than its own', async () => {
    expect(await put('k-1', 1, 'Huế')).toBe('done')
    expect(await put('k-1', 1, 'Huế')).toBe('again')
    expect(await put('k-2', 1, 'Đà Lạt')).toBe('conflict')
    expect(await put('k-3', 2, 'Đà Lạt')).toBe('done')
    expect(await put('k-1', 1, 'Huế')).toBe('conflict')
    const left = { account: 7, version: 3, key: 'k-4' }
    expect(await store.leave(left)).toBe('done')
    expect(await store.leave(left)).toBe('again')
    expect(await put('k-1', 1, 'Huế')).toBe('conflict')
    await database.collection<{ _id: Long }>('departures').deleteOne({ _id: Long.fromNumber(7) })
  })
})

describe('the judge finds', () => {
  test('a profile that is lost', async () => {
    expect(await profile(() => undefined)).toEqual({ lost: 1 })
  })
  test('a profile of before its last change', async () => {
    expect(await profile((one) => ({ ...one, version: one.version - 1 }))).toEqual({ stale: 1 })
  })
  test('a profile of a version that was never made', async () => {
    expect(await profile((one) => ({ ...one, version: one.version + 1 }))).toEqual({ unasked: 1 })
  })
  test('a profile that was altered', async () => {
    expect(await profile((one) => ({ ...one, contact: { ...one.contact, city: 'x' } }))).toEqual({ altered: 1 })
  })
  test('papers that were added twice', async () => {
    expect(await profile((one) => ({ ...one, papers: [...one.papers, ...one.papers] }))).toEqual({ altered: 1 })
  })
  test('a customer who had left', async () => {
    const departures = database.collection<{ _id: Long; version: number }>('departures')
    const gone = await departures.findOne({})
    if (!gone) return expect.fail('nobody has left')
    const back = { _id: gone._id, version: gone.version - 1, contact: { phone: 'x', city: 'x' }, papers: [] }
    await database.collection<{ _id: Long }>('profiles').insertOne(back)
    expect(await found()).toEqual({ resurrected: 1 })
    await database.collection<{ _id: Long }>('profiles').deleteOne({ _id: gone._id })
    await departures.deleteOne({ _id: gone._id })
    expect(await found()).toEqual({ departuresMissing: 1 })
    await departures.insertOne(gone)
  })
  test('a notification that is lost or altered, or has another deadline or none', async () => {
    const at = (one: NotificationDocument, ms: number) => ({
      ...one,
      expiresAt: new Date(one.expiresAt.getTime() + ms),
    })
    expect(await notification(() => undefined)).toEqual({ goneEarly: 1 })
    expect(await notification((one) => ({ ...one, text: 'x' }))).toEqual({ altered: 1 })
    expect(await notification((one) => at(one, 60_000))).toEqual({ expiresLate: 1 })
    expect(await notification((one) => at(one, -60_000))).toEqual({ expiresEarly: 1 })
    expect(await notification(({ expiresAt, ...one }) => one as NotificationDocument)).toEqual({ expiresLate: 1 })
  })
  test('a notification that is there a second time', async () => {
    const notifications = database.collection<NotificationDocument>('notifications')
    const one = await notifications.findOne({})
    if (!one) return expect.fail('nobody was told anything')
    await notifications.insertOne({ ...one, _id: `${one._id}-again` })
    expect(await found()).toEqual({ unasked: 1 })
    await notifications.deleteOne({ _id: `${one._id}-again` })
  })
  test('an index that keeps a rule and is gone', async () => {
    await database.collection('notifications').dropIndex('expiresAt_1')
    expect(await found()).toEqual({ indexesMissing: 1 })
    await createProfileIndexes(database)
  })
})

test('a server that is away and comes back is only late', async () => {
  await mongodb.stop()
  const asking = fetch(`${url}/health/ready`)
  await mongodb.restart()
  expect([200, 503]).toContain((await asking).status)
  await vi.waitUntil(async () => (await fetch(`${url}/health/ready`)).status === 200, { timeout: 20_000 })
  expect(await (await fetch(`${url}/metrics`)).text()).toContain('profiles_answers_total{operation="/v1/notifications"')
})
