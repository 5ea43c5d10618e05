/**
 * Goal: several workers share a PostgreSQL. Method: a real server, two worker processes with a state directory each.
 */
import { join } from 'node:path'
import { startPostgresql } from '@replatform/testkit/postgresql-server'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ApiClient } from './api-client.ts'
import type { Operation, OperationVerb } from './api-types.ts'
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

test('three workers, of which two are killed: the last one takes over what they hosted, and every move ends', async () => {
  const controlUrl = await freshDatabase('shared')
  await using rig = await ControlRig.create()
  const moves = ['ledger', 'merchants', 'sessions', 'profiles', 'receipts', 'search']
  const place = (name: string) => ({
    ...rig.options(moves),
    stateDirectory: join(rig.folder, name),
    controlUrl,
    mostWaves: 2,
    // Waves of one move each, for their budget: a machine that is busy must not abort a cutover here.
    waves: moves.map((move) => ({
      name: `${move}-wave`,
      phase: 'rehost' as const,
      moves: [move],
      pauseBudget: '40s',
    })),
  })
  for (const move of moves) rig.store(move).setRows('old', 3)
  const [first, second] = [await rig.fork(place('first')), await rig.fork(place('second'))]
  await rig.fork(place('third'))
  const client = new ApiClient(join(rig.folder, 'third'))
  const perform = async (verb: OperationVerb, move: string) => {
    const { id } = await client.ask(verb, move, { actor: 'test@rig' })
    return until(`${verb} ${move} ends`, async () => endOf(await client.operation(id)), 120_000)
  }
  // Asked of one worker, performed by the others too.
  const started = await Promise.all(moves.map((move) => perform('start', move)))
  expect(started.map(({ state }) => state)).toEqual(moves.map(() => 'done'))
  const hostedByThird = () =>
    client.status().then((status) => status.moves.filter(({ mover }) => mover !== null).length)
  expect(await until('the third hosts its share', hostedByThird)).toBeLessThanOrEqual(2)

  await Promise.all([killed(first), killed(second)])
  for (const move of moves) rig.store(move).insert('old')
  // It hosts two at a time: each that has ended makes room for one of the dead ones'.
  const way = async (move: string) => {
    await until(`${move} is in sync`, async () => (await stateOf(client, move)) === 'in-sync' || undefined, 120_000)
    const cutover = await perform('cutover', move)
    expect(cutover).toMatchObject({ state: 'done', result: { cutover: { outcome: 'committed' } } })
    expect(await perform('finalize', move)).toMatchObject({ state: 'done' })
  }
  await Promise.all(moves.map(way))
  for (const store of moves.map((move) => rig.store(move))) {
    expect([store.rows('new'), store.has('old', 'fenced'), store.has('new', 'fenced')]).toEqual([4, true, false])
  }
  expect((await decisionsIn(controlUrl)).length).toBe(moves.length)
  expect(await client.status()).toMatchObject({ worker: { control: 'postgresql' } })
}, 300_000)

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

async function stateOf(client: ApiClient, move: string): Promise<string | undefined> {
  return (await client.status()).moves.find(({ name }) => name === move)?.state
}

function endOf(operation: Operation): Operation | undefined {
  return operation.state === 'running' ? undefined : operation
}

async function decisionsIn(url: string): Promise<unknown[]> {
  const client = new pg.Client(url)
  await client.connect()
  const { rows } = await client.query('SELECT id, outcome FROM replatform_control.decision')
  await client.end()
  return rows
}
