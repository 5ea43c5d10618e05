/** Every finding is provoked on real servers, many at once, and a pair that is fit shows no blocker. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Endpoint } from '@replatform/core/connector'
import type { Finding } from '@replatform/core/finding'
import { type PostgresqlServer, startPostgresql } from '@replatform/testkit/postgresql-server'
import { asRds } from '@replatform/testkit/rds'
import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { type AssessOptions, assess } from './assess.ts'
import { ensureControlSchema } from './control-schema.ts'
import { extensionFindings, versionFindings } from './findings.ts'
import { openSession } from './session.ts'
import type { SideFacts } from './side-facts.ts'

const database = 'shop'

test('a fit pair has no blocker and is left as it was', async () => {
  await using source = await startPostgresql({ major: 13, settings: { max_prepared_transactions: '0' } })
  await using target = await startPostgresql({ major: 17 })
  await Promise.all([source, target].map((server) => server.createDatabase(database)))
  await source.query('CREATE TABLE accounts (id bigserial PRIMARY KEY, balance bigint)', database)
  const before = await readObjects(source)
  const findings = withoutTools(await assess(options(source.url(database), target.url(database))))
  expect(findings.filter(({ severity }) => severity === 'blocker')).toEqual([])
  expect(ids(findings)).toEqual(['postgresql.locale-differs', 'postgresql.sequence', 'postgresql.size'].toSorted())
  expect(await readObjects(source)).toEqual(before)
}, 60_000)

describe('on the source', () => {
  test('tables, views, roles and sessions that stand in the way', async () => {
    await using source = await startPostgresql({ major: 15 })
    await using target = await startPostgresql({ major: 17 })
    await Promise.all([source, target].map((server) => server.createDatabase(database)))
    await source.query(troubles, database)
    await source.query('CREATE SCHEMA cron; CREATE TABLE cron.job (jobid bigint PRIMARY KEY)', database)
    await source.query(
      `ALTER DATABASE ${database} SET default_transaction_isolation = 'serializable'; ALTER ROLE spare SET search_path = a, "B"`,
      database,
    )
    await using clients = new Clients()
    const root = await clients.connect(source.url(database, 'root', 'rig-root'))
    await root.query('BEGIN; INSERT INTO fit VALUES (1)')
    await clients.connect(source.url(database))
    const other = await clients.connect(source.url(database, 'app', 'rig-app'))
    await other.query(`BEGIN; INSERT INTO fit VALUES (2); PREPARE TRANSACTION 'left'`)

    const findings = await assess(options(source.url(database), target.url(database)))
    const found = new Map(findings.map((finding) => [finding.id, finding]))
    expect(found.get('postgresql.table-without-key')).toMatchObject({
      severity: 'blocker',
      evidence: ['public.keyless', 'public.nothing'],
      remedy: expect.stringContaining('ALTER TABLE "public"."keyless" REPLICA IDENTITY FULL;'),
    })
    expect(found.get('postgresql.deferrable-key')?.evidence).toEqual(['public.deferred'])
    expect(found.get('postgresql.unlogged-table')).toMatchObject({
      severity: 'blocker',
      evidence: ['public.cache'],
      remedy: expect.stringContaining('ALTER TABLE public.cache SET LOGGED;'),
    })
    expect(found.get('postgresql.large-objects')?.evidence).toEqual(['2 large objects'])
    expect(found.get('postgresql.identity-full')?.evidence).toEqual(['public.full_identity'])
    expect(found.get('postgresql.always-trigger')?.evidence).toEqual(['audit on public.fit'])
    expect(found.get('postgresql.prepared-transaction')?.severity).toBe('risk')
    expect(found.get('postgresql.open-transaction')?.evidence).toEqual([expect.stringContaining('root')])
    expect(found.get('postgresql.superuser-application')).toMatchObject({
      severity: 'blocker',
      evidence: ['root (1 sessions)'],
      remedy: expect.stringContaining('ALTER ROLE root NOSUPERUSER;'),
    })
    expect(found.get('postgresql.superuser-role')?.evidence).toEqual(['spare'])
    expect(found.get('postgresql.mover-role-shared')?.evidence).toHaveLength(1)
    expect(found.get('postgresql.materialized-view')?.remedy).toContain('REFRESH MATERIALIZED VIEW public.totals;')
    expect(found.get('postgresql.role-missing')).toMatchObject({
      severity: 'blocker',
      evidence: ['app', 'readers'],
      remedy: expect.stringContaining('CREATE ROLE "app" LOGIN;\nCREATE ROLE "readers";'),
    })
    expect(found.get('postgresql.copied-as-text')?.evidence).toEqual(['public.fit.moods public.mood[]'])
    const notes = [
      'event-trigger',
      'foreign-table',
      'generated-column',
      'other-publication',
      'other-slot',
      'partitioned-table',
    ]
    for (const note of [...notes, 'prepared-transactions-possible']) {
      expect(found.get(`postgresql.${note}`), note).toMatchObject({ severity: 'note', evidence: [expect.any(String)] })
    }
    expect(found.get('postgresql.setting')).toMatchObject({ severity: 'risk', evidence: expect.any(Array) })
    expect(found.get('postgresql.setting')?.remedy).toContain(`SET default_transaction_isolation = 'serializable';`)
    expect(found.get('postgresql.setting')?.remedy).toContain('ALTER ROLE spare SET search_path = a, "B";')
    expect(found.get('postgresql.scheduled-jobs')).toMatchObject({ severity: 'risk', evidence: ['cron.job'] })
    expect(found.get('postgresql.subscription')).toMatchObject({ severity: 'risk', evidence: ['feed'] })
    expect(JSON.stringify(findings)).not.toContain('rig-')
    const severities = findings.map(({ severity }) => ['blocker', 'risk', 'note'].indexOf(severity))
    expect(severities).toEqual(severities.toSorted())
  })

  test('settings without which nothing can be followed, there and back', async () => {
    const settings = {
      wal_level: 'replica',
      max_replication_slots: '1',
      max_wal_senders: '1',
      max_slot_wal_keep_size: '1GB',
      wal_sender_timeout: '5s',
      max_prepared_transactions: '0',
    }
    await using server = await startPostgresql({ major: 13, settings })
    await server.query(`CREATE DATABASE shop TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'`)
    await server.query(`CREATE DATABASE away TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'`)
    const findings = withoutTools(await assess(options(server.url(database), server.url('away'))))
    const severities = findings.map(({ id, severity }) => `${severity} ${id.replace('postgresql.', '')}`)
    expect(severities.toSorted()).toEqual([
      'blocker encoding-differs',
      'blocker no-free-slot',
      'blocker no-free-slot',
      'blocker no-free-wal-sender',
      'blocker no-free-wal-sender',
      'blocker sql-ascii',
      'blocker target-wal-level',
      'blocker wal-level',
      'note size',
      'risk sender-timeout',
      'risk sender-timeout',
      'risk slot-limit',
    ])
  })

  test('a standby is named as one', async () => {
    await using source = await startPostgresql({ major: 17 })
    await using target = await startPostgresql({ major: 17 })
    await writeFile(join(source.dataDir, 'standby.signal'), '')
    await source.restart()
    const findings = await assess(options(source.url(), target.url()))
    expect(ids(findings)).toContain('postgresql.in-recovery')
  })

  test('an account without rights learns each that it lacks', async () => {
    await using source = await startPostgresql({ major: 13 })
    await using target = await startPostgresql({ major: 17 })
    await Promise.all([source, target].map((server) => server.createDatabase(database)))
    await source.query(
      `CREATE ROLE mover LOGIN PASSWORD 'rig-mover'; CREATE TABLE hidden (id int PRIMARY KEY);
       ALTER TABLE hidden ENABLE ROW LEVEL SECURITY; CREATE TABLE other (id int PRIMARY KEY)`,
      database,
    )
    const findings = await assess(options(source.url(database, 'mover', 'rig-mover'), target.url(database)))
    const found = new Map(findings.map((finding) => [finding.id, finding]))
    expect(found.get('postgresql.row-security')).toMatchObject({ severity: 'blocker', evidence: ['public.hidden'] })
    expect(found.get('postgresql.missing-replication-right')?.remedy).toContain('ALTER ROLE mover REPLICATION;')
    expect(found.get('postgresql.missing-database-right')?.remedy).toContain('GRANT CREATE ON DATABASE shop TO mover;')
    expect(found.get('postgresql.missing-database-right')?.remedy).toContain('GRANT pg_signal_backend TO mover;')
    expect(found.get('postgresql.missing-ownership')?.evidence).toEqual(['public.hidden (postgres and 1 more)'])
    expect(found.get('postgresql.missing-replication-role-right')?.severity).toBe('blocker')
  })
})

describe('on the target', () => {
  test('what an RDS instance lacks for this source', async () => {
    await using source = await startPostgresql({ major: 17 })
    await using rds = await asRds(await startPostgresql({ major: 15 }))
    await source.createDatabase(database)
    await rds.createDatabase(database)
    await source.query(
      `CREATE ROLE teller; CREATE TABLE tills (id int PRIMARY KEY); ALTER TABLE tills OWNER TO teller`,
      database,
    )
    await rds.server.query('CREATE ROLE teller; CREATE TABLE in_the_way (id int)', database)
    const findings = await assess(options(source.url(database), rds.masterUrl(database)))
    const found = new Map(findings.map((finding) => [finding.id, finding]))
    expect(found.get('postgresql.target-older')?.severity).toBe('blocker')
    expect(found.get('postgresql.target-not-empty')).toMatchObject({
      severity: 'blocker',
      evidence: ['public.in_the_way'],
    })
    expect(found.get('postgresql.role-not-granted')?.remedy).toBe('GRANT "teller" TO "master";')
    expect(found.get('postgresql.missing-schema-right')).toMatchObject({
      severity: 'blocker',
      evidence: ['teller'],
      remedy: 'GRANT CREATE ON SCHEMA public TO "teller";',
    })
    expect(found.has('postgresql.missing-replication-role-right')).toBe(false)
    expect(found.has('postgresql.missing-database-right')).toBe(false)
  })

  test('a move that is on its way, and the way back, are not told that the target is not empty', async () => {
    await using server = await startPostgresql({ major: 17 })
    await Promise.all(['a', 'b'].map((name) => server.createDatabase(name)))
    await server.query('CREATE TABLE arrived (id int PRIMARY KEY)', 'b')
    const pair = options(server.url('a'), server.url('b'))
    expect(ids(await assess(pair))).toContain('postgresql.target-not-empty')
    expect(ids(await assess({ ...pair, direction: 'reverse' }))).not.toContain('postgresql.target-not-empty')
    const session = await openSession({ endpoint: pair.target, side: 'target', move: 'shop', role: 'test' })
    await ensureControlSchema(session)
    await session.query(`INSERT INTO replatform.flow (move, direction, source_system) VALUES ('shop', 'forward', 'x')`)
    await session.end()
    expect(ids(await assess(pair))).not.toContain('postgresql.target-not-empty')
    expect(ids(await assess({ ...pair, tools: { pg_dump: '/nowhere/pg_dump' } }))).toContain('postgresql.tool-missing')
  })

  test('who cannot connect gets an error, not findings', async () => {
    await using server = await startPostgresql({ major: 17 })
    const wrong = options(server.url(), server.url('postgres', 'postgres', 'wrong'))
    await expect(assess(wrong)).rejects.toMatchObject({ code: 'auth.failed' })
    const nowhere = options(server.url('nowhere'), server.url())
    await expect(assess(nowhere)).rejects.toMatchObject({ code: 'database.missing' })
    await server.stop()
    await expect(assess(options(server.url(), server.url()))).rejects.toMatchObject({ code: 'connection.refused' })
  })
})

test('versions', () => {
  const found = (source: number, target: number, pgDump?: number) =>
    ids(versionFindings({ source, target, pgDump, pgRestore: pgDump }))
  expect(found(13, 17, 17)).toEqual([])
  expect(found(11, 17, 17)).toEqual(['postgresql.version-unsupported'])
  expect(found(17, 16, 17)).toEqual(['postgresql.target-older'])
  expect(found(17, 17, 16)).toEqual(['postgresql.tool-too-old'])
  expect(found(13, 17, 15)).toEqual(['postgresql.tool-older-than-target'])
  expect(found(13, 17)).toEqual(['postgresql.tool-missing'])
})

test('extensions', () => {
  const installed = new Map([
    ['plpgsql', '1.0'],
    ['postgis', '3.4.2'],
    ['hstore', '1.10'],
    ['citext', '1.6'],
  ])
  const available = new Map([
    ['hstore', '1.9'],
    ['citext', '1.6'],
  ])
  const side = (facts: Partial<SideFacts>) => facts as SideFacts
  const findings = extensionFindings(side({ extensions: installed }), side({ available }))
  expect(findings.map(({ id, evidence }) => [id, evidence])).toEqual([
    ['postgresql.extension-missing', ['postgis 3.4.2']],
    ['postgresql.extension-older', ['hstore 1.10, target 1.9']],
  ])
})

const troubles = `
CREATE ROLE root SUPERUSER LOGIN PASSWORD 'rig-root'; CREATE ROLE spare SUPERUSER LOGIN; CREATE ROLE readers;
CREATE ROLE app LOGIN PASSWORD 'rig-app';
CREATE TYPE mood AS ENUM ('calm');
CREATE TABLE fit (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED, moods mood[]);
CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER audit BEFORE INSERT ON fit FOR EACH ROW EXECUTE FUNCTION audit();
ALTER TABLE fit ENABLE ALWAYS TRIGGER audit;
GRANT ALL ON fit TO app; GRANT SELECT ON fit TO readers;
CREATE TABLE keyless (a int); CREATE TABLE nothing (id int PRIMARY KEY); ALTER TABLE nothing REPLICA IDENTITY NOTHING;
CREATE TABLE deferred (id int PRIMARY KEY DEFERRABLE);
CREATE TABLE full_identity (a int); ALTER TABLE full_identity REPLICA IDENTITY FULL;
CREATE UNLOGGED TABLE cache (id int PRIMARY KEY);
CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY RANGE (id);
SELECT lo_create(0), lo_create(0);
CREATE MATERIALIZED VIEW totals AS SELECT count(*) FROM fit;
CREATE FOREIGN DATA WRAPPER away; CREATE SERVER away FOREIGN DATA WRAPPER away; CREATE FOREIGN TABLE far (id int) SERVER away;
CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION watch();
CREATE PUBLICATION others FOR TABLE fit;
SELECT pg_create_physical_replication_slot('standby');
CREATE SUBSCRIPTION feed CONNECTION 'host=127.0.0.1 port=1' PUBLICATION none WITH (connect = false);
`

function options(source: string, target: string): AssessOptions & { target: Endpoint } {
  const endpoint = (url: string): Endpoint => ({ kind: 'postgresql', url })
  return { source: endpoint(source), target: endpoint(target), move: 'shop', direction: 'forward', tools: {} }
}

function ids(findings: readonly Finding[]): string[] {
  return findings.map((finding) => finding.id).toSorted()
}

/** What is found about the machine's pg_dump depends on the machine. */
function withoutTools(findings: readonly Finding[]): Finding[] {
  return findings.filter(({ id }) => !/^postgresql\.tool-(too-old|older)/.test(id))
}

async function readObjects(server: PostgresqlServer): Promise<unknown> {
  return server.query(`SELECT oid::text, relname FROM pg_class WHERE oid >= 16384 ORDER BY 1`, database)
}

class Clients implements AsyncDisposable {
  readonly #clients: pg.Client[] = []

  async connect(url: string): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: url })
    client.on('error', () => {})
    await client.connect()
    this.#clients.push(client)
    return client
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.end().catch(() => {})))
  }
}
