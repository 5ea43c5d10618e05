/**
 * Goal: several workers share a PostgreSQL. Method: a real server, two worker processes with a state directory each.
 */
import { join } from 'node:path'
import { startPostgresql } from '@replatform/testkit/postgresql-server'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ApiClient } from './api-client.ts'
import { openSharedDatabase } from './control-database.ts'
import { PostgresqlDecisionStore } from './postgresql-decision-store.ts'
import { ControlRig, killed, until } from './test-fixtures/control-rig.ts'
import { startFileWorker } from './test-fixtures/file-worker.ts'

const log = { info: () => {}, warn: () => {}, error: () => {} }
let server: Awaited<ReturnType<typeof startPostgresql>>

beforeAll(async () => {
  server = await startPostgresql({ major: 17 })
}, 60_000)
afterAll(() => server[Symbol.asyncDispose]())

async function freshDatabase(name: string): Promise<string> {
  await server.createDatabase(name)
  return server.url(name)
}

test('workers that start at the same time install the schema once', async () => {
  const url = await freshDatabase('installs')
  const opened = await Promise.all([1, 2, 3].map(() => openSharedDatabase(url, log)))
  const versions = await opened[0]?.query('SELECT number FROM replatform_control.version')
  expect(versions).toHaveLength(1)
  for (const database of opened) await database[Symbol.asyncDispose]()
})

test('a database of a newer version is not opened', async () => {
  const url = await freshDatabase('newer')
  await (await openSharedDatabase(url, log))[Symbol.asyncDispose]()
  await server.query('UPDATE replatform_control.version SET number = 999', 'newer')
  await expect(openSharedDatabase(url, log)).rejects.toMatchObject({ code: 'state.newer-version' })
})

test('a server that does not answer is unreachable, and its password is not told', async () => {
  const failed = await openSharedDatabase('postgresql://me:secret@127.0.0.1:1/x', log).catch((thrown) => thrown)
  expect(failed).toMatchObject({ code: 'control.unreachable' })
  expect(JSON.stringify(failed)).not.toContain('secret')
})

test('those who decide at the same time agree, on disk even where the server would not wait', async () => {
  const url = await freshDatabase('decisions')
  await server.query('ALTER DATABASE decisions SET synchronous_commit = off')
  const [one, other] = await Promise.all([openSharedDatabase(url, log), openSharedDatabase(url, log)])
  const [first, second] = [new PostgresqlDecisionStore(one), new PostgresqlDecisionStore(other)]
  for (let round = 0; round < 20; round++) {
    const id = `round-${round}`
    const answers = await Promise.all([
      first.decide({ id, outcome: 'committed', at: 'now' }),
      second.decide({ id, outcome: 'aborted', at: 'later' }),
    ])
    expect(answers[0]).toEqual(answers[1])
    expect(await second.read(id)).toEqual(answers[0])
  }
  for (const database of [one, other]) await database[Symbol.asyncDispose]()
})

test('two workers: either takes requests, and when the host of the moves is killed the other takes over', async () => {
  const controlUrl = await freshDatabase('shared')
  await using rig = await ControlRig.create()
  const moves = ['ledger', 'merchants']
  const place = (name: string) => ({ ...rig.options(moves), stateDirectory: join(rig.folder, name), controlUrl })
  const first = await rig.fork(place('first'))
  const firstClient = new ApiClient(join(rig.folder, 'first'))
  for (const move of moves) await firstClient.ask('start', move, { actor: 'test@rig' })
  await until('both are in sync', async () => (await stateOf(firstClient)) === 'in-sync in-sync' || undefined)

  await rig.fork(place('second'))
  const client = new ApiClient(join(rig.folder, 'second'))
  const ended = async (id: string) =>
    until(`operation ${id} ends`, async () => {
      const now = await client.operation(id)
      return now.state === 'running' ? undefined : now
    })
  const compare = await client.ask('compare', 'ledger', { actor: 'test@rig' })
  expect(await ended(compare.id)).toMatchObject({ state: 'done', result: { report: { equal: true } } })
  expect((await firstClient.status()).moves.map(({ mover }) => mover === null)).toEqual([false, false])
  expect((await client.status()).moves.map(({ mover }) => mover === null)).toEqual([true, true])

  await killed(first)
  for (const move of moves) rig.store(move).insert('old')
  const arrived = () => moves.every((move) => rig.store(move).rows('new') === 1) || undefined
  // The claim is free when its heartbeat is overdue.
  await until('both rows are there', arrived, 90_000)
  const { id } = await client.ask('cutover', 'ledger', { actor: 'test@rig' })
  expect(await ended(id)).toMatchObject({ state: 'done', result: { cutover: { outcome: 'committed' } } })
  expect(await decisionsIn(controlUrl)).toEqual([{ id, outcome: 'committed' }])
  expect(await client.status()).toMatchObject({ worker: { control: 'postgresql' } })
}, 180_000)

test('a worker that hosts nothing still answers, takes requests and stops', async () => {
  const controlUrl = await freshDatabase('guest')
  await using rig = await ControlRig.create()
  const worker = await startFileWorker({ ...rig.options(), controlUrl, mostWaves: 0 })
  const { id } = await rig.client.ask('start', 'ledger', { actor: 'test@rig' })
  expect(await rig.client.operation(id)).toMatchObject({
    state: 'running',
    steps: [{ state: 'planned' }, {}, {}, {}, {}, {}, {}],
  })
  await worker.stop()

  const host = await startFileWorker({ ...rig.options(), controlUrl })
  expect(await rig.ended(id)).toMatchObject({ state: 'done' })
  await host.stop()
})

async function stateOf(client: ApiClient): Promise<string> {
  return (await client.status()).moves.map(({ state }) => state).join(' ')
}

async function decisionsIn(url: string): Promise<unknown[]> {
  const client = new pg.Client(url)
  await client.connect()
  const { rows } = await client.query('SELECT id, outcome FROM replatform_control.decision')
  await client.end()
  return rows
}
