import { readFile } from 'node:fs/promises'
import pg from 'pg'
import { expect, test, vi } from 'vitest'
import { type PostgresqlServer, startPostgresql } from './postgresql-server.ts'
import { postgresqlTools } from './postgresql-tools.ts'
import { runProgram } from './run-program.ts'
import { processesIn } from './server-process.ts'

test.each([13, 15, 17, 18] as const)(
  'PostgreSQL %i: decodes, keeps scram passwords, survives a kill, leaves nothing',
  async (major) => {
    const server = await startPostgresql({ major, superuserPassword: "o'clock", settings: { work_mem: '3MB' } })
    {
      await using _ = server
      expect(await setting(server, 'wal_level')).toBe('logical')
      expect(await setting(server, 'work_mem')).toBe('3MB')
      expect(await setting(server, 'server_version_num')).toMatch(new RegExp(`^${major}`))
      await server.createDatabase('ledger')
      await server.query('CREATE TABLE entry (amount bigint)', 'ledger')
      await server.query("SELECT pg_create_logical_replication_slot('s', 'pgoutput')", 'ledger')
      await server.query('INSERT INTO entry VALUES (42)', 'ledger')
      await server.kill()
      expect(await processesIn(server.dataDir)).toEqual([])
      await server.restart()
      expect(await server.query('SELECT amount FROM entry', 'ledger')).toEqual([{ amount: '42' }])
    }
    expect(server.running).toBe(false)
    await expect(readFile(server.logFile)).rejects.toThrow('ENOENT')
  },
)

test("the rig's pg_dump reads the oldest and the newest server", async () => {
  const { pg_dump, pg_restore } = await postgresqlTools()
  expect(await runProgram(pg_restore, ['--version'])).toContain(' 18.')
  for (const major of [13, 18] as const) {
    await using server = await startPostgresql({ major })
    await server.query('CREATE TABLE entry (amount bigint)')
    const env = { ...process.env, PGPASSWORD: server.password }
    const args = ['--schema-only', '--host', server.host, '--port', String(server.port), '--username', server.superuser]
    expect(await runProgram(pg_dump, [...args, 'postgres'], { env })).toContain('CREATE TABLE public.entry')
  }
})

test('a wrong password is refused', async () => {
  await using server = await startPostgresql({ major: 17, superuserPassword: 'right' })
  const client = new pg.Client({ connectionString: server.url('postgres', 'postgres', 'wrong') })
  await expect(client.connect()).rejects.toMatchObject({ code: '28P01' })
})

test('TLS is all that it speaks, under a certificate of the rig', async () => {
  await using server = await startPostgresql({ major: 17, tls: true })
  const [row] = await server.query<{ ssl: boolean }>('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()')
  expect(row).toEqual({ ssl: true })
  const plain = new pg.Client({ connectionString: server.url().replace(/\?.*/, '') })
  await expect(plain.connect()).rejects.toMatchObject({ code: '28000' })
  const untrusting = new pg.Client({ connectionString: server.url().replace(/&sslrootcert=.*/, '') })
  await expect(untrusting.connect()).rejects.toThrow(/self-signed|unable to (get|verify)/)
})

test('two servers of one major are two clusters', async () => {
  await using one = await startPostgresql({ major: 15 })
  await using other = await startPostgresql({ major: 15 })
  expect(await identity(one)).not.toBe(await identity(other))
})

test('a server that cannot start says why', async () => {
  await expect(startPostgresql({ major: 15, settings: { shared_buffers: 'plenty' } })).rejects.toThrow(/shared_buffers/)
})

test("somebody's own server takes the place of ours, and is never stopped", async () => {
  await using theirs = await startPostgresql({ major: 15 })
  vi.stubEnv('RIG_POSTGRESQL_15_URL', theirs.url())
  try {
    await using server = await startPostgresql({ major: 15 })
    await server.createDatabase('ledger')
    expect(server.url('ledger')).toBe(theirs.url('ledger'))
    await expect(server.kill()).rejects.toThrow('RIG_POSTGRESQL_15_URL')
    await expect(server.restart()).rejects.toThrow('RIG_POSTGRESQL_15_URL')
    expect(() => server.dataDir).toThrow('RIG_POSTGRESQL_15_URL')
  } finally {
    vi.unstubAllEnvs()
  }
  expect(await theirs.query('SELECT 1 AS one', 'ledger')).toEqual([{ one: 1 }])
})

async function setting(server: PostgresqlServer, name: string): Promise<string | undefined> {
  const [row] = await server.query<{ value: string }>(`SELECT current_setting('${name}') AS value`)
  return row?.value
}

async function identity(server: PostgresqlServer): Promise<string | undefined> {
  const [row] = await server.query<{ id: string }>('SELECT system_identifier AS id FROM pg_control_system()')
  return row?.id
}
