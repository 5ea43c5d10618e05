import pg from 'pg'
import { expect, test } from 'vitest'
import { startPgbouncer } from './pgbouncer-server.ts'
import { startPostgresql } from './postgresql-server.ts'

test('clients reach their database through PgBouncer, also after it was killed and started again', async () => {
  await using server = await startPostgresql({ major: 15 })
  await server.createDatabase('ledger')
  const { host, port } = server
  await using pgbouncer = await startPgbouncer({
    databases: { wallet: { host, port, dbname: 'ledger' } },
    users: { postgres: server.password },
  })
  const ask = async (): Promise<unknown> => {
    const client = new pg.Client({ connectionString: pgbouncer.url('wallet', 'postgres', server.password) })
    await client.connect()
    try {
      return (await client.query('SELECT current_database() AS name')).rows
    } finally {
      await client.end()
    }
  }
  expect(await ask()).toEqual([{ name: 'ledger' }])
  await pgbouncer.kill()
  await expect(ask()).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  await pgbouncer.restart()
  expect(await ask()).toEqual([{ name: 'ledger' }])
})

test('TLS is all that it speaks, under a certificate of the rig, to clients and to its admin', async () => {
  await using server = await startPostgresql({ major: 15, tls: true })
  const { host, port } = server
  await using pgbouncer = await startPgbouncer({
    databases: { wallet: { host, port, dbname: 'postgres' } },
    users: { postgres: server.password },
    tls: true,
    settings: { server_tls_sslmode: 'require' },
  })
  const url = pgbouncer.url('wallet', 'postgres', server.password)
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  expect((await client.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()')).rows).toEqual([{ ssl: true }])
  await client.end()
  const plain = new pg.Client({ connectionString: url.replace(/\?.*/, '') })
  await expect(plain.connect()).rejects.toThrow(/TLS|SSL/)
  const untrusting = new pg.Client({ connectionString: url.replace(/&sslrootcert=.*/, '') })
  await expect(untrusting.connect()).rejects.toThrow(/self-signed|unable to (get|verify)/)
})
