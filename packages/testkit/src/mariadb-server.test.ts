import { access } from 'node:fs/promises'
import mysql from 'mysql2/promise'
import { expect, test } from 'vitest'
import { startMariadb } from './mariadb-server.ts'

test('MariaDB writes a full row log, keeps what was committed over a kill, and leaves nothing', async () => {
  const server = await startMariadb({ settings: { max_connections: '77' } })
  {
    await using _ = server
    expect(await server.query('SELECT @@version AS v, @@max_connections AS n')).toEqual([
      { v: expect.stringMatching(/^10\.11\./), n: '77' },
    ])
    await server.query('CREATE DATABASE merchants')
    await server.query('CREATE TABLE shop (id INT PRIMARY KEY, name VARCHAR(40))', 'merchants')
    {
      await using client = await server.connect(server.url('merchants'))
      await client.query("INSERT INTO shop VALUES (1, 'Cà phê')")
    }
    await server.kill()
    await server.restart()
    expect(await server.query('SELECT * FROM shop', 'merchants')).toEqual([{ id: 1, name: 'Cà phê' }])
    const events = await server.query<{ Event_type: string }>("SHOW BINLOG EVENTS IN 'binlog.000001'")
    expect(events.map((event) => event.Event_type)).toContain('Write_rows_v1')
  }
  expect(server.running).toBe(false)
  await expect(access(server.folder)).rejects.toThrow('ENOENT')
})

test('nobody gets in with a wrong password or none, nor without TLS or with another authority', async () => {
  await using server = await startMariadb({ tls: true })
  expect(await server.query('SELECT 1 AS one')).toEqual([{ one: 1 }])
  for (const password of ['wrong', '']) {
    const refused = server.connect(server.url('', 'root', password))
    await expect(refused).rejects.toMatchObject({ code: 'ER_ACCESS_DENIED_ERROR' })
  }
  await expect(mysql.createConnection({ uri: server.url() })).rejects.toThrow()
  const untrusting = mysql.createConnection({ uri: server.url(), ssl: {} })
  await expect(untrusting).rejects.toThrow(/self-signed|unable to (get|verify)/)
})

test("RDS's master may work and follow, and gets none of the rights of SUPER", async () => {
  await using server = await startMariadb({ flavour: 'rds' })
  expect(server.user).toBe('master')
  await using master = await server.connect()
  await master.query('CREATE DATABASE merchants')
  await master.query('CREATE TABLE merchants.shop (id INT PRIMARY KEY)')
  await master.query("CREATE USER 'app'@'%' IDENTIFIED BY 'secret'")
  await master.query("GRANT SELECT ON merchants.* TO 'app'@'%'")
  await master.query("CALL mysql.rds_set_configuration('binlog retention hours', 24)")
  await master.query('SHOW BINLOG STATUS')
  for (const refused of [
    'SET GLOBAL read_only = 1',
    'SET GLOBAL max_connections = 10',
    'SET sql_log_bin = 0',
    "SELECT 1 INTO OUTFILE '/tmp/rig-outfile'",
    'SHUTDOWN',
    "CHANGE MASTER TO MASTER_HOST = 'x'",
    'PURGE BINARY LOGS BEFORE NOW()',
    "GRANT SUPER ON *.* TO 'app'@'%'",
    'CREATE FUNCTION merchants.f() RETURNS INT DETERMINISTIC RETURN 1',
  ]) {
    await expect(master.query(refused), refused).rejects.toMatchObject({
      code: expect.stringMatching(/DENIED|NEED_SUPER/),
    })
  }
})
