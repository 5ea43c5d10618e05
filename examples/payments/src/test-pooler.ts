/** A PgBouncer in transaction pooling, from the machine's own packages, in front of a throw-away server. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Client } from 'pg'
import { account, freePort } from './test-database.ts'

export interface TestPooler extends AsyncDisposable {
  readonly url: string
  /** The admin console: takes simple queries only. */
  readonly console: Client
}

/** Pools `databaseUrl`, whose user may also administer the pooler. */
export async function startPooler(databaseUrl: string): Promise<TestPooler> {
  const server = new URL(databaseUrl)
  const directory = await mkdtemp(join(tmpdir(), 'wallet-pgbouncer-'))
  if (account.uid !== undefined) await chown(directory, account.uid, account.gid)
  const port = await freePort()
  const settings = join(directory, 'pgbouncer.ini')
  const users = join(directory, 'users.txt')
  await writeFile(users, `"${server.username}" "${server.password}"\n`)
  await writeFile(
    settings,
    `[databases]
     ${server.pathname.slice(1)} = host=${server.hostname} port=${server.port}
     [pgbouncer]
     listen_addr = 127.0.0.1
     listen_port = ${port}
     unix_socket_dir =
     auth_type = scram-sha-256
     auth_file = ${users}
     admin_users = ${server.username}
     pool_mode = transaction
     default_pool_size = 4`,
  )
  for (const file of [users, settings]) if (account.uid !== undefined) await chown(file, account.uid, account.gid)
  const environment = { PATH: `${process.env.PATH}:/usr/sbin` }
  const pooler = spawn('pgbouncer', ['-q', settings], { ...account, env: environment, stdio: 'ignore' })
  const url = new URL(databaseUrl)
  url.port = String(port)
  const console = await connectConsole(url)
  return {
    url: url.href,
    console,
    async [Symbol.asyncDispose]() {
      await console.end()
      const exited = once(pooler, 'exit')
      pooler.kill('SIGTERM')
      await exited
      await rm(directory, { recursive: true })
    },
  }
}

async function connectConsole(pooler: URL): Promise<Client> {
  const url = new URL(pooler)
  url.pathname = '/pgbouncer'
  for (;;) {
    const client = new Client({ connectionString: url.href })
    try {
      await client.connect()
      return client
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED')) throw error
      await delay(20)
    }
  }
}
