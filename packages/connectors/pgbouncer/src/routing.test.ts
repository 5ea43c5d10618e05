/**
 * Goal: writes are held, sent to the other side and released without a client noticing more than a wait, and whatever
 * fails leaves nobody waiting. Method: a real PgBouncer before two real servers that know which side they are.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { inspect } from 'node:util'
import type { Routing } from '@replatform/core/routing'
import { debianProgram } from '@replatform/testkit/debian-package'
import { type PgbouncerOptions, type PgbouncerServer, startPgbouncer } from '@replatform/testkit/pgbouncer-server'
import { pollUntil } from '@replatform/testkit/poll-until'
import { type PostgresqlServer, startPostgresql } from '@replatform/testkit/postgresql-server'
import { startTcpProxy } from '@replatform/testkit/tcp-proxy'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { AdminConsole } from './admin-console.ts'
import { copyPgbouncer } from './copy.ts'
import { createPgbouncerRouting, type PgbouncerRoutingOptions } from './routing.ts'

const log = { info() {}, warn() {}, error() {} }
const askSide = 'SELECT name FROM side'
let oldServer: PostgresqlServer
let newServer: PostgresqlServer

beforeAll(async () => {
  oldServer = await startSide('old')
  newServer = await startSide('new')
})
afterAll(async () => {
  await oldServer?.[Symbol.asyncDispose]()
  await newServer?.[Symbol.asyncDispose]()
})

test('a held statement goes through on the new side after release', async () => {
  await using pgbouncer = await startPooler()
  await using routing = routingOf(pgbouncer)
  await using client = await connect(pgbouncer)
  expect(await client.side()).toBe('old')
  expect(await routing.where()).toBe('old')

  await routing.hold({ withinMs: 5_000 })
  const held = client.side()
  await pollUntil('the statement waits in PgBouncer', async () => (await clientsWaiting(pgbouncer)) === 1)
  await routing.point('new')
  expect(await routing.where()).toBe('new')
  await routing.release()

  expect(await held).toBe('new')
})

test('a transaction that outlasts the budget makes hold give up, and nobody is left waiting', async () => {
  await using pgbouncer = await startPooler()
  await using routing = routingOf(pgbouncer)
  await using long = await connect(pgbouncer)
  await using other = await connect(pgbouncer)
  await long.query('BEGIN; SELECT 1')

  await expect(routing.hold({ withinMs: 300 })).rejects.toMatchObject({ code: 'routing.failed' })

  expect(await other.side()).toBe('old')
  expect(await long.side()).toBe('old')
  await long.query('COMMIT')
  await routing.hold({ withinMs: 5_000 })
  await routing.release()
  expect(await other.side()).toBe('old')
})

test('every verb may be repeated, by another process too', async () => {
  await using pgbouncer = await startPooler()
  await using first = routingOf(pgbouncer)
  await using second = routingOf(pgbouncer)
  await using client = await connect(pgbouncer)
  await first.hold({ withinMs: 5_000 })
  await second.hold({ withinMs: 5_000 })
  await first.point('new')
  await second.point('new')
  await second.release()
  await first.release()
  expect(await client.side()).toBe('new')
})

test('where clients are pointed outlives a restart of PgBouncer, and the rest of the file stays as it was', async () => {
  await using pgbouncer = await startPooler()
  await using routing = routingOf(pgbouncer)
  const line = `ledger = host=127.0.0.1 port=${oldServer.port} pool_size=7 dbname=ledger`
  const layout = (databaseLine: string): string =>
    `; kept by hand\n[databases]\n# ledger = host=retired\n${databaseLine}\n\nreports = host=127.0.0.1 port=1\n`
  await writeFile(pgbouncer.configFile, layout(line))

  await routing.point('new')
  await pgbouncer.restart()

  expect(await routing.where()).toBe('new')
  await using client = await connect(pgbouncer)
  expect(await client.side()).toBe('new')
  expect(await readFile(pgbouncer.configFile, 'utf8')).toBe(
    layout(line.replace(String(oldServer.port), String(newServer.port))),
  )
})

test('an admin connection that was cut is made anew', async () => {
  await using pgbouncer = await startPooler()
  await using proxy = await startTcpProxy(pgbouncer)
  await using routing = routingOf(pgbouncer, { adminUrl: proxy.url(pgbouncer.adminUrl) })
  await routing.hold({ withinMs: 5_000 })
  proxy.cut()
  await routing.release()
  await using client = await connect(pgbouncer)
  expect(await client.side()).toBe('old')
})

test('session pooling is refused before anybody waits', async () => {
  await using pgbouncer = await startPooler({ poolMode: 'session' })
  await using routing = routingOf(pgbouncer)
  await using client = await connect(pgbouncer)
  await client.side()
  await expect(routing.hold({ withinMs: 5_000 })).rejects.toMatchObject({ code: 'routing.failed' })
  expect(await client.side()).toBe('old')
  expect(await findingsOf(routing)).toEqual(['pgbouncer.session-pooling blocker'])
})

test('point says so when PgBouncer goes on as before', async () => {
  await using pgbouncer = await startPooler()
  const copy = `${pgbouncer.configFile}.copy`
  await writeFile(copy, await readFile(pgbouncer.configFile))
  await using routing = routingOf(pgbouncer, { configFile: copy })
  await expect(routing.point('new')).rejects.toMatchObject({ code: 'routing.failed' })
  expect(await routing.where()).toBe('old')
})

test('assess finds nothing where all is well, and names what is not', async () => {
  await using pgbouncer = await startPooler()
  await using well = routingOf(pgbouncer)
  expect(await findingsOf(well)).toEqual([])

  await using noFile = routingOf(pgbouncer, { configFile: '/nowhere/databases.ini' })
  expect(await findingsOf(noFile)).toEqual(['pgbouncer.config-not-writable blocker'])

  await using unknown = routingOf(pgbouncer, { database: 'purse' })
  expect(await findingsOf(unknown)).toEqual([
    'pgbouncer.config-without-database blocker',
    'pgbouncer.unknown-database blocker',
  ])

  const elsewhere = { ...placeOf(oldServer), host: 'other.example' }
  await using third = routingOf(pgbouncer, { places: { old: elsewhere, new: placeOf(newServer) } })
  expect(await findingsOf(third)).toEqual(['pgbouncer.points-elsewhere blocker'])

  await writeFile(pgbouncer.configFile, '[databases]\nledger = host=edited.example port=5432 dbname=ledger\n')
  expect(await findingsOf(well)).toEqual(['pgbouncer.config-not-loaded risk'])

  await pgbouncer.stop()
  expect(await findingsOf(well)).toEqual(['pgbouncer.admin-unreachable blocker'])
})

test('a refused password stays out of the error', async () => {
  await using pgbouncer = await startPooler()
  const adminUrl = pgbouncer.url('pgbouncer', 'pgbouncer_admin', 'Sw0rdfish')
  await using routing = routingOf(pgbouncer, { adminUrl })
  const error = await routing.where().catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'routing.failed' })
  expect(inspect(error, { depth: 9 })).not.toContain('Sw0rdfish')
  expect(() => routingOf(pgbouncer, { adminUrl: 'postgresql://admin:Sw0rdfish@[host' })).toThrow('not a URL')
})

test('a copy for a rehearsal goes over with its one client, and the real one and its clients notice nothing', async () => {
  // Each side has a mover of its own, with a password that needs quoting.
  const movers = {
    old: { user: 'mover', password: "it's = old" },
    new: { user: 'mover_of_new', password: 'new "one" %20' },
  }
  for (const [server, { user, password }] of [
    [oldServer, movers.old],
    [newServer, movers.new],
  ] as const) {
    await server.query(`CREATE ROLE ${user} LOGIN PASSWORD '${password.replaceAll("'", "''")}'`)
  }
  await using pgbouncer = await startPooler({ poolSize: 3, settings: { query_wait_timeout: '77' } })
  await using client = await connect(pgbouncer)
  await client.side()
  const before = await stateOf(pgbouncer)
  const program = await debianProgram('pgbouncer', 'pgbouncer')
  const places = {
    old: { ...placeOf(oldServer), ...movers.old },
    new: { ...placeOf(newServer), ...movers.new },
  }
  const { adminUrl, configFile } = pgbouncer
  const copy = await copyPgbouncer({ adminUrl, database: 'ledger', configFile, places, program, log })
  try {
    const { routing, client: asking } = copy
    if (!routing || !asking) throw new Error(copy.detail)
    await asking.begin()
    expect(await routing.where()).toBe('old')
    await routing.hold({ withinMs: 20_000 })
    const held = performance.now()
    await client.side()
    await routing.point('new')
    const heldMs = performance.now() - held
    await routing.release()
    const felt = await asking.end()
    expect(await routing.where()).toBe('new')
    expect(felt).toMatchObject({ errors: 0, answers: expect.any(Number) })
    expect(felt.gapMs).toBeGreaterThanOrEqual(Math.floor(heldMs))
  } finally {
    await copy[Symbol.asyncDispose]()
  }
  expect(await client.side()).toBe('old')
  expect(await stateOf(pgbouncer)).toEqual(before)
})

/** A pause, a reload or another file would show here: a pause ends the connections to the servers. */
async function stateOf(pgbouncer: PgbouncerServer) {
  await using console = new AdminConsole(pgbouncer.adminUrl)
  return {
    file: await readFile(pgbouncer.configFile, 'utf8'),
    databases: await console.run('SHOW DATABASES'),
    servers: (await console.run('SHOW SERVERS')).map(({ remote_pid }) => remote_pid),
  }
}

async function startSide(name: string): Promise<PostgresqlServer> {
  const server = await startPostgresql({ major: 15 })
  await server.createDatabase('ledger')
  await server.query(`CREATE TABLE side AS SELECT '${name}' AS name`, 'ledger')
  return server
}

function startPooler(options: Partial<PgbouncerOptions> = {}): Promise<PgbouncerServer> {
  return startPgbouncer({
    databases: { ledger: placeOf(oldServer) },
    users: { postgres: oldServer.password },
    ...options,
  })
}

function placeOf({ host, port }: PostgresqlServer): { host: string; port: number; dbname: string } {
  return { host, port, dbname: 'ledger' }
}

function routingOf(pgbouncer: PgbouncerServer, options: Partial<PgbouncerRoutingOptions> = {}): Routing {
  return createPgbouncerRouting({
    adminUrl: pgbouncer.adminUrl,
    database: 'ledger',
    configFile: pgbouncer.configFile,
    places: { old: placeOf(oldServer), new: placeOf(newServer) },
    log,
    ...options,
  })
}

async function findingsOf(routing: Routing): Promise<string[]> {
  return (await routing.assess()).map(({ id, severity }) => `${id} ${severity}`)
}

async function connect(pgbouncer: PgbouncerServer) {
  const client = new pg.Client({ connectionString: pgbouncer.url('ledger', 'postgres', oldServer.password) })
  client.on('error', () => {}) // PgBouncer ends connections when it is stopped.
  await client.connect()
  return {
    query: (sql: string) => client.query(sql),
    side: async () => (await client.query<{ name: string }>(askSide)).rows[0]?.name,
    [Symbol.asyncDispose]: () => client.end(),
  }
}

async function clientsWaiting(pgbouncer: PgbouncerServer): Promise<number> {
  const client = new pg.Client({ connectionString: pgbouncer.adminUrl })
  await client.connect()
  try {
    const { rows } = await client.query('SHOW POOLS')
    return rows.reduce((sum, row) => sum + Number(row.cl_waiting), 0)
  } finally {
    await client.end()
  }
}
