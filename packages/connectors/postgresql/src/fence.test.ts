/**
 * The fence is attacked on real servers from every kind of connection that an application, or somebody with a
 * superuser's password, can have open or open anew. Each case writes to a table and then looks at what is there.
 *
 * Where a superuser attacks the definitions the mover is a superuser too: only event triggers stop that, and no lesser
 * account makes one. What a lesser one closes is tried with the account that `replatform grants` makes, and as on RDS.
 */
import { type PostgresqlServer, startPostgresql } from '@replatform/testkit/postgresql-server'
import { asRds } from '@replatform/testkit/rds'
import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { admitMover, fenceSide, isFenced, sweepFence, unfenceSide } from './fence.ts'
import { closeDoor, fenceTableSql, liftFence, standingFence, supersededState } from './fence-sql.ts'
import { openSession, type Session } from './session.ts'
import { moverAccounts } from './test-fixtures/mover-accounts.ts'

const move = 'ledger'
const database = 'shop'
const refused = { code: '25006', message: expect.stringMatching(/^fenced by Replatform: /) }

describe.each([13, 17] as const)('PostgreSQL %i', (major) => {
  test('refuses everybody but the mover, and lets all in again', async () => {
    await using server = await startPostgresql({ major })
    await prepareShop(server)
    await using attackers = new Attackers(server)
    const idle = await attackers.connect('app')
    const reading = await attackers.connect('app')
    await reading.query('BEGIN; SELECT * FROM accounts')
    const definer = await attackers.connect('app')
    await using mover = await connectMover(server.url(database))
    const before = await readConnectGrants(server)

    // Sessions that we cannot see, and so end, must not be able to write either: these are let pass as the mover's.
    const hidden = { application_name: 'replatform ledger hidden' }
    const replica = await attackers.connect('postgres', hidden)
    await replica.query('SET session_replication_role = replica')
    const snapshot = await attackers.connect('postgres', hidden)
    await snapshot.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM accounts')
    const serializable = await attackers.connect('postgres', hidden)
    await serializable.query('BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT * FROM accounts')
    const prepared = await attackers.connect('postgres', hidden)
    await prepared.query('PREPARE pay AS UPDATE accounts SET balance = balance + 1')
    await prepared.query('EXECUTE pay')

    await fenceSide({ session: mover, move, turn: 1, moverRole: 'postgres', withinMs: 5_000 })
    expect(await isFenced(mover)).toBe(true)
    const frozen = await server.query('SELECT * FROM accounts ORDER BY id', database)

    for (const ended of [idle, reading, definer]) {
      await expect(ended.query('UPDATE accounts SET balance = 0')).rejects.toThrow()
    }
    await expect(attackers.connect('app')).rejects.toMatchObject({ code: '42501' })
    await expect(replica.query('UPDATE accounts SET balance = 0')).rejects.toMatchObject(refused)
    await expect(snapshot.query('UPDATE accounts SET balance = 0')).rejects.toMatchObject(refused)
    await expect(serializable.query('DELETE FROM accounts')).rejects.toMatchObject(refused)
    await expect(prepared.query('EXECUTE pay')).rejects.toMatchObject(refused)
    const fresh = await attackers.connect('postgres')
    await fresh.query(`SET default_transaction_read_only = off; SET replatform.mover = 'another'`)
    const attacks = [
      'INSERT INTO accounts VALUES (9, 9)',
      'TRUNCATE accounts',
      'COPY accounts FROM STDIN',
      'INSERT INTO entries VALUES (1, 1)',
      'INSERT INTO entries_low VALUES (1, 1)',
      'INSERT INTO "Odd.Name" VALUES (1)',
      'WITH gone AS (DELETE FROM accounts RETURNING *) SELECT * FROM gone',
      'SELECT pay_as_owner()',
      `SET SESSION AUTHORIZATION app; SELECT pay_as_owner()`,
      'RESET SESSION AUTHORIZATION; CREATE TABLE escape (id int)',
      'ALTER TABLE accounts DISABLE TRIGGER ALL',
      'BEGIN; UPDATE accounts SET balance = 0; PREPARE TRANSACTION $$late$$',
    ]
    for (const attack of attacks) {
      await expect(fresh.query(attack), attack).rejects.toMatchObject(refused)
      await fresh.query('ROLLBACK')
    }
    expect(await server.query('SELECT * FROM accounts ORDER BY id', database)).toEqual(frozen)
    expect(await server.query('SELECT * FROM entries', database)).toEqual([])
    // Others of the server are none of our business.
    await (await attackers.connect('app', { database: 'postgres' })).query('SELECT 1')

    await mover.query('INSERT INTO public.accounts VALUES (10, 0)')
    await mover.query('SET session_replication_role = replica')
    await mover.query('DELETE FROM public.accounts WHERE id = 10')

    await server.restart()
    await using again = await connectMover(server.url(database))
    expect(await isFenced(again)).toBe(true)
    await expect(attackers.connect('app')).rejects.toMatchObject({ code: '42501' })
    const afterRestart = await attackers.connect('postgres')
    await expect(afterRestart.query('DELETE FROM accounts')).rejects.toMatchObject(refused)

    await unfenceSide({ session: again, move, turn: 1 })
    await sweepFence(again)
    expect(await isFenced(again)).toBe(false)
    expect(await readConnectGrants(server)).toEqual(before)
    await (await attackers.connect('app')).query('UPDATE accounts SET balance = 5')
    await afterRestart.query('CREATE TABLE later (id int)')
    expect(await readRemains(server)).toEqual([])
    await unfenceSide({ session: again, move, turn: 1 })
    await sweepFence(again)
    expect(await readConnectGrants(server)).toEqual(before)
  })

  test('every acknowledged commit lies before the fence, and none after', async () => {
    await using server = await startPostgresql({ major })
    await prepareShop(server)
    const { source: moverUrl } = await moverAccounts({ source: server, target: server }, database)
    await using attackers = new Attackers(server)
    await using mover = await connectMover(moverUrl)
    const writers = await Promise.all(
      Array.from({ length: 8 }, async (_, i) =>
        writeUntilRefused(await attackers.connect(i % 2 ? 'app' : 'postgres'), i),
      ),
    )
    await writers[0]?.hasWritten(20)

    await fenceSide({ session: mover, move, turn: 1, moverRole: 'mover', withinMs: 10_000 })
    const atFence = await readLog(server)
    const outcomes = await Promise.all(writers.map((writer) => writer.ended))

    expect(await readLog(server)).toEqual(atFence)
    expect(new Set(atFence)).toEqual(new Set([...atFence, ...outcomes.flatMap((outcome) => outcome.acknowledged)]))
    const mayBeThere = new Set(outcomes.flatMap((outcome) => [...outcome.acknowledged, outcome.unknown]))
    expect(atFence.filter((mark) => !mayBeThere.has(mark))).toEqual([])
  })

  test('waits for a writer, ends one that stays, and gives up on a prepared transaction', async () => {
    await using server = await startPostgresql({ major })
    await prepareShop(server)
    await using attackers = new Attackers(server)
    await using mover = await connectMover(server.url(database))
    const before = await readConnectGrants(server)
    const fence = { session: mover, move, turn: 1, moverRole: 'postgres', withinMs: 3_000 }

    await server.query(`BEGIN; INSERT INTO accounts VALUES (77, 1); PREPARE TRANSACTION 'open'`, database)
    await expect(fenceSide(fence)).rejects.toMatchObject({ code: 'fence.prepared-transaction' })
    expect(await readConnectGrants(server)).toEqual(before)
    expect(await readRemains(server)).toEqual([])
    await server.query(`ROLLBACK PREPARED 'open'`, database)

    const stays = await attackers.connect('app')
    await stays.query('BEGIN; UPDATE accounts SET balance = 99')
    // A table that nobody sees before its transaction commits.
    const creates = await attackers.connect('postgres')
    await creates.query('BEGIN; CREATE TABLE hidden (id int); INSERT INTO hidden VALUES (1)')
    await fenceSide(fence)
    await expect(stays.query('COMMIT')).rejects.toThrow()
    await expect(creates.query('COMMIT')).rejects.toThrow()
    expect(await server.query('SELECT FROM accounts WHERE balance = 99', database)).toEqual([])
    expect(await server.query(`SELECT to_regclass('hidden') AS made`, database)).toEqual([{ made: null }])
  })

  test('a fencing that dies between its steps is lifted, and one that stands fences new tables', async () => {
    await using server = await startPostgresql({ major })
    await prepareShop(server)
    await using attackers = new Attackers(server)
    await using mover = await connectMover(server.url(database))
    const before = await readConnectGrants(server)
    await admitMover(mover, move)
    await mover.query(fenceTableSql)
    await mover.query(closeDoor({ move, turn: 1, moverRole: 'postgres' }))
    await expect(attackers.connect('app')).rejects.toMatchObject({ code: '42501' })
    await unfenceSide({ session: mover, move, turn: 1 })
    await sweepFence(mover)
    expect(await readConnectGrants(server)).toEqual(before)

    const fence = { session: mover, move, turn: 2, moverRole: 'postgres', withinMs: 5_000 }
    await fenceSide(fence)
    await mover.query('CREATE TABLE public.newcomer (id int)')
    const late = await attackers.connect('postgres')
    await late.query('INSERT INTO newcomer VALUES (1)')
    await fenceSide(fence)
    const superuser = await attackers.connect('postgres')
    await expect(superuser.query('INSERT INTO newcomer VALUES (2)')).rejects.toMatchObject(refused)
    await unfenceSide({ session: mover, move, turn: 2 })
    await sweepFence(mover)
    expect(await readConnectGrants(server)).toEqual(before)
  })

  test('a trigger left behind under a long reader refuses nobody and is taken up by the next fence', async () => {
    await using server = await startPostgresql({ major })
    await prepareShop(server)
    await using attackers = new Attackers(server)
    await using mover = await connectMover(server.url(database))
    const fence = { session: mover, move, turn: 1, moverRole: 'postgres', withinMs: 5_000 }
    await fenceSide(fence)
    const reader = await attackers.connect('postgres')
    await reader.query('BEGIN; SELECT * FROM accounts')
    await unfenceSide({ session: mover, move, turn: 1 })
    await sweepFence(mover)
    expect(await readRemains(server)).toEqual(['accounts'])
    const app = await attackers.connect('app')
    await app.query('BEGIN; UPDATE accounts SET balance = 42')
    const fenced = fenceSide({ ...fence, turn: 2 })
    await expect(fenced.then(() => server.query('SELECT FROM accounts WHERE balance = 42', database))).resolves.toEqual(
      [],
    )
    await expect(app.query('COMMIT')).rejects.toThrow()
  })
})

test('an RDS master fences without a superuser; an account without rights is told so and nothing stays', async () => {
  await using rds = await asRds(await startPostgresql({ major: 17 }))
  const { server } = rds
  await rds.createDatabase(database)
  await server.query(`CREATE ROLE app LOGIN PASSWORD 'rig-app'; GRANT app TO master`, database)
  await server.query(
    'CREATE TABLE accounts (id int PRIMARY KEY, balance int); ALTER TABLE accounts OWNER TO app',
    database,
  )
  await using attackers = new Attackers(server)
  const app = await attackers.connect('app')
  await using mover = await connectMover(rds.masterUrl(database))
  await fenceSide({ session: mover, move, turn: 1, moverRole: rds.masterUser, withinMs: 5_000 })
  await expect(app.query('SELECT 1')).rejects.toThrow()
  await expect(attackers.connect('app')).rejects.toMatchObject({ code: '42501' })
  const superuser = await attackers.connect('postgres')
  await expect(superuser.query('DELETE FROM accounts')).rejects.toMatchObject(refused)
  await unfenceSide({ session: mover, move, turn: 1 })
  await sweepFence(mover)
  await (await attackers.connect('app')).query('INSERT INTO accounts VALUES (1, 1)')

  await superuser.query('BEGIN; UPDATE accounts SET balance = 2')
  const holder = (await superuser.query('SELECT pg_backend_pid() AS pid')).rows[0].pid
  await expect(
    fenceSide({ session: mover, move, turn: 2, moverRole: rds.masterUser, withinMs: 600 }),
  ).rejects.toMatchObject({
    code: 'fence.timeout',
    message: expect.stringContaining(`${holder} (postgres)`),
  })
  await superuser.query('COMMIT')
  await (await attackers.connect('app')).query('UPDATE accounts SET balance = 3')

  await server.query(`CREATE TABLE foreign_to_master (id int)`, database)
  await expect(
    fenceSide({ session: mover, move, turn: 2, moverRole: rds.masterUser, withinMs: 2_000 }),
  ).rejects.toMatchObject({
    code: 'auth.missing-rights',
    message: expect.stringContaining('foreign_to_master'),
  })
  await (await attackers.connect('app')).query('INSERT INTO accounts VALUES (2, 2)')

  await server.query(`GRANT CREATE ON DATABASE ${database} TO app`, database)
  await using weak = await connectMover(server.url('postgres', 'app', 'rig-app'))
  await expect(fenceSide({ session: weak, move, turn: 2, moverRole: 'app', withinMs: 2_000 })).rejects.toMatchObject({
    code: 'auth.missing-rights',
  })
})

test('grants of CONNECT by others than the owner come back as they were', async () => {
  await using server = await startPostgresql({ major: 17 })
  await prepareShop(server)
  await server.query(
    `REVOKE CONNECT ON DATABASE shop FROM PUBLIC; CREATE ROLE lead; CREATE ROLE "Odd Role";
     GRANT CONNECT ON DATABASE shop TO lead WITH GRANT OPTION; GRANT CONNECT ON DATABASE shop TO app;
     SET ROLE lead; GRANT CONNECT ON DATABASE shop TO "Odd Role"; GRANT CONNECT ON DATABASE shop TO app WITH GRANT OPTION`,
  )
  const before = await readConnectGrants(server)
  await using mover = await connectMover(server.url(database))
  await fenceSide({ session: mover, move, turn: 1, moverRole: 'postgres', withinMs: 5_000 })
  expect(await readConnectGrants(server)).toHaveLength(1)
  await unfenceSide({ session: mover, move, turn: 1 })
  await sweepFence(mover)
  expect(await readConnectGrants(server)).toEqual(before)
})

test('what arrives late, or begins late, opens nothing that was fenced since and closes nothing that was opened', async () => {
  await using server = await startPostgresql({ major: 17 })
  await prepareShop(server)
  await using attackers = new Attackers(server)
  await using mover = await connectMover(server.url(database))
  const fence = (turn: number) => fenceSide({ session: mover, move, turn, moverRole: 'postgres', withinMs: 5_000 })
  const superseded = { code: 'fence.superseded' }

  await fence(1)
  // As an unfencing would have sent it whose server then stood still.
  const { rows } = await mover.query<{ since: string }>(standingFence, [move])
  const late = liftFence(rows[0]?.since ?? '', { verb: 'unfence', turn: 1, move })
  await unfenceSide({ session: mover, move, turn: 1 })
  await expect(fence(1)).rejects.toMatchObject(superseded)
  await fence(2)
  await expect(mover.query(late)).rejects.toMatchObject({ code: supersededState })
  await mover.query('ROLLBACK')
  // As a mover would that slept before it had begun, and one that reads what stands now but means an earlier turn.
  await expect(unfenceSide({ session: mover, move, turn: 1 })).rejects.toMatchObject(superseded)
  const { rows: now } = await mover.query<{ since: string }>(standingFence, [move])
  const stale = liftFence(now[0]?.since ?? '', { verb: 'unfence', turn: 1, move })
  await expect(mover.query(stale)).rejects.toMatchObject({ code: supersededState })
  await mover.query('ROLLBACK')

  expect(await isFenced(mover)).toBe(true)
  await expect(attackers.connect('app')).rejects.toMatchObject({ code: '42501' })
  const intruder = await attackers.connect('postgres')
  await expect(intruder.query('UPDATE accounts SET balance = 0')).rejects.toMatchObject(refused)
  await expect(intruder.query('CREATE TABLE later (id int)')).rejects.toMatchObject({ code: '25006' })

  await unfenceSide({ session: mover, move, turn: 2 })
  await unfenceSide({ session: mover, move, turn: 1 })
  await expect(fence(1)).rejects.toMatchObject(superseded)
  await expect(fence(2)).rejects.toMatchObject(superseded)
  await expect(fence(0)).rejects.toMatchObject(superseded)
  expect(await isFenced(mover)).toBe(false)
  const welcome = await attackers.connect('app')
  await welcome.query('UPDATE accounts SET balance = balance')
})

test('two thousand tables', async () => {
  await using server = await startPostgresql({ major: 17 })
  await server.createDatabase(database)
  const create = `DO $$ BEGIN FOR i IN 1..2000 LOOP EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY)', i); END LOOP; END $$`
  await server.query(create, database)
  await using mover = await connectMover(server.url(database))
  const marks = [performance.now()]
  await fenceSide({ session: mover, move, turn: 1, moverRole: 'postgres', withinMs: 30_000 })
  marks.push(performance.now())
  await unfenceSide({ session: mover, move, turn: 1 })
  await sweepFence(mover)
  marks.push(performance.now())
  const [fenceMs, unfenceMs] = [1, 2].map((i) => Math.round((marks[i] ?? 0) - (marks[i - 1] ?? 0)))
  console.info(`2,000 tables: fence ${fenceMs} ms, unfence ${unfenceMs} ms`)
  expect(await readRemains(server)).toEqual([])
})

async function prepareShop(server: PostgresqlServer): Promise<void> {
  await server.createDatabase(database)
  await server.query(
    `CREATE ROLE app LOGIN PASSWORD 'rig-app';
     CREATE TABLE accounts (id int PRIMARY KEY, balance int); INSERT INTO accounts VALUES (1, 100), (2, 200);
     CREATE TABLE entries (id int, amount int) PARTITION BY RANGE (id);
     CREATE TABLE entries_low PARTITION OF entries FOR VALUES FROM (0) TO (100);
     CREATE TABLE "Odd.Name" (id int);
     CREATE TABLE log (mark text);
     CREATE FUNCTION pay_as_owner() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'UPDATE public.accounts SET balance = 0';
     GRANT ALL ON ALL TABLES IN SCHEMA public TO app`,
    database,
  )
}

async function connectMover(url: string): Promise<Session & AsyncDisposable> {
  const session = await openSession({ endpoint: { kind: 'postgresql', url }, side: 'source', move, role: 'control' })
  return Object.assign(session, { [Symbol.asyncDispose]: () => session.end().catch(() => {}) })
}

class Attackers implements AsyncDisposable {
  readonly #server: PostgresqlServer
  readonly #clients: pg.Client[] = []

  constructor(server: PostgresqlServer) {
    this.#server = server
  }

  async connect(user: 'app' | 'postgres', options: pg.ClientConfig & { database?: string } = {}): Promise<pg.Client> {
    const { database: name = database, ...rest } = options
    const password = user === 'app' ? 'rig-app' : this.#server.password
    const client = new pg.Client({ connectionString: this.#server.url(name, user, password), ...rest })
    client.on('error', () => {})
    await client.connect()
    this.#clients.push(client)
    return client
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.end().catch(() => {})))
  }
}

/** Writes one mark after the other; what was cut off in the middle of a commit is unknown. */
async function writeUntilRefused(client: pg.Client, writer: number) {
  const acknowledged: string[] = []
  const enough = new Map<number, () => void>()
  const run = async () => {
    for (let i = 0; ; i++) {
      const mark = `${writer}/${i}`
      try {
        await client.query('INSERT INTO log VALUES ($1)', [mark])
        acknowledged.push(mark)
        enough.get(acknowledged.length)?.()
      } catch {
        return { acknowledged, unknown: mark }
      }
    }
  }
  const ended = run()
  const hasWritten = (count: number) => new Promise<void>((resolve) => enough.set(acknowledged.length + count, resolve))
  return { ended, hasWritten }
}

async function readLog(server: PostgresqlServer): Promise<string[]> {
  return (await server.query<{ mark: string }>('SELECT mark FROM log ORDER BY mark', database)).map((row) => row.mark)
}

async function readConnectGrants(server: PostgresqlServer): Promise<unknown[]> {
  return server.query(
    `SELECT g.grantee::regrole::text AS grantee, g.grantor::regrole::text AS grantor, g.privilege_type AS right, g.is_grantable
     FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) g WHERE datname = '${database}'
       AND g.privilege_type = 'CONNECT' ORDER BY 1, 2, 3, 4`,
  )
}

/** Tables that still have a trigger of the fence, and its event trigger. */
async function readRemains(server: PostgresqlServer): Promise<string[]> {
  const rows = await server.query<{ name: string }>(
    `SELECT tgrelid::regclass::text AS name FROM pg_trigger WHERE tgname = 'replatform_fence'
     UNION ALL SELECT evtname FROM pg_event_trigger ORDER BY 1`,
    database,
  )
  return rows.map((row) => row.name)
}
