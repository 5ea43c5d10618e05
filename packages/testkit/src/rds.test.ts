import pg from 'pg'
import { expect, test } from 'vitest'
import { startPostgresql } from './postgresql-server.ts'
import { asRds } from './rds.ts'

/** Goal: what passes on the rig's target does not fail on RDS. Method: the master tries what RDS allows and refuses. */
test.each([17, 18] as const)('the master of %i owns its databases and is no superuser', async (major) => {
  await using rds = await asRds(await startPostgresql({ major }))
  await rds.createDatabase('ledger')
  const client = new pg.Client({ connectionString: rds.masterUrl('ledger') })
  await client.connect()
  try {
    await client.query('CREATE TABLE entry (id int PRIMARY KEY); CREATE ROLE app LOGIN; GRANT SELECT ON entry TO app')
    await client.query('SET session_replication_role = replica; RESET session_replication_role')
    await client.query('CREATE DATABASE another')
    await client.query("SELECT pg_create_logical_replication_slot('s', 'pgoutput')")
    for (const refused of [
      'ALTER ROLE master SUPERUSER',
      'ALTER SYSTEM SET fsync = off',
      "COPY entry TO '/tmp/entry'",
      'SET session_preload_libraries = anything',
      'ALTER ROLE postgres NOLOGIN',
      "SELECT pg_replication_origin_create('replatform')",
    ]) {
      await expect(client.query(refused), refused).rejects.toMatchObject({ code: '42501' })
    }
  } finally {
    await client.end()
  }
})
