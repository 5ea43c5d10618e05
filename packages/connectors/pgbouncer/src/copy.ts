/**
 * A PgBouncer of our own for a rehearsal, with what decides about holding taken over from the real one: its pools, its
 * waits, its TLS to the servers. It listens on a socket in a folder that only its user can enter, has one client, and
 * is used as the mover's user of whichever side it points to. The real one is only asked for its settings.
 */
import { randomBytes } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { ReplatformError } from '@replatform/core/errors'
import type { Place, RoutingCopy } from '@replatform/core/routing'
import { AskingClient } from '@replatform/engine/asking-client'
import { KeptProgram, type OsUser } from '@replatform/engine/kept-program'
import pg from 'pg'
import { AdminConsole } from './admin-console.ts'
import { type PgbouncerPlace, pointDatabase, quoted, readSettings } from './database-line.ts'
import { createPgbouncerRouting, type PgbouncerRoutingOptions } from './routing.ts'

export interface PgbouncerCopyOptions extends PgbouncerRoutingOptions {
  /** Of PgBouncer on this machine. */
  readonly program: string
  /** With the mover's user of each side. */
  readonly places: Readonly<Record<Place, PgbouncerPlace>>
}

const databasesFile = 'databases.ini'
const mainFile = 'pgbouncer.ini'
/** It only names the socket. */
const port = 6432
const user = 'rehearsal'

/** Settings of the whole PgBouncer that are taken over; min_pool_size is not, since it would open connections. */
const general = [
  'pool_mode',
  'default_pool_size',
  'reserve_pool_size',
  'reserve_pool_timeout',
  'query_wait_timeout',
  'server_check_delay',
  'server_check_query',
  'server_connect_timeout',
  'server_login_retry',
  'server_reset_query',
  'server_tls_sslmode',
  'server_tls_ca_file',
  'server_tls_cert_file',
  'server_tls_key_file',
  'server_tls_protocols',
]
/** And of the line of the database. */
const ofDatabase = ['pool_mode', 'pool_size', 'reserve_pool', 'reserve_pool_size']

/** Throws `routing.failed` where the real one cannot be read or the copy does not run. */
export async function copyPgbouncer(options: PgbouncerCopyOptions): Promise<RoutingCopy> {
  const { database, program, places, log } = options
  await using opened = new AsyncDisposableStack()
  const copy = opened.use(
    await KeptProgram.create({
      name: 'pgbouncer',
      program,
      args: (folder) => [`${folder}/${mainFile}`],
      user: await userOf(options),
    }),
  )
  const password = randomBytes(24).toString('hex')
  await copy.write('users.txt', `"${user}" "${password}"\n`)
  await copy.write(databasesFile, await databaseSection(options))
  await copy.write(mainFile, await mainSection(options, copy))
  const adminUrl = `postgresql://${user}:${password}@${encodeURIComponent(copy.folder)}:${port}/pgbouncer`
  const routing = opened.use(
    createPgbouncerRouting({ adminUrl, database, configFile: copy.path(databasesFile), places, log }),
  )
  await copy.start(() => routing.where())
  const client = opened.use(clientOf({ host: copy.folder, port, user, password, database }))
  const all = opened.move()
  return {
    name: routing.name,
    detail: `a PgBouncer of the worker's, with the settings of the real one, in front of both servers`,
    routing,
    client,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}

/** PgBouncer does not run as root: the copy then runs as whoever the real one's file belongs to. */
async function userOf({ configFile }: PgbouncerCopyOptions): Promise<OsUser | undefined> {
  if (process.geteuid?.() !== 0) return undefined
  const { uid, gid } = await stat(configFile)
  return uid === 0 ? { uid: 65_534, gid: 65_534 } : { uid, gid }
}

async function databaseSection({ configFile, database, places }: PgbouncerCopyOptions): Promise<string> {
  const real = readSettings(await readFile(configFile, 'utf8'), database)
  if (!real) throw unusable(`${configFile} has no line for ${database}`)
  // A line of the file ends where the value does.
  const values = Object.values(places).flatMap((place) => Object.values(place).map(String))
  if (values.some((value) => /[\r\n]/.test(value))) throw unusable('an address has a line break')
  const kept = ofDatabase.flatMap((key) => (real.has(key) ? [`${key}=${quoted(real.get(key) ?? '')}`] : []))
  // Older versions read no quoted name.
  const name = /^[\w.-]+$/.test(database) ? database : `"${database.replaceAll('"', '""')}"`
  return pointDatabase(`[databases]\n${name} = ${kept.join(' ')}\n`, database, places.old)
}

async function mainSection({ adminUrl }: PgbouncerCopyOptions, copy: KeptProgram): Promise<string> {
  await using console = new AdminConsole(adminUrl)
  const real = new Map((await console.run('SHOW CONFIG')).map(({ key, value }) => [key, value]))
  const taken = general.flatMap((key) => {
    const value = real.get(key)
    return value ? [[key, value] as const] : []
  })
  const settings = [
    ['unix_socket_dir', copy.folder],
    ['listen_port', String(port)],
    ['auth_type', 'scram-sha-256'],
    ['auth_file', copy.path('users.txt')],
    ['admin_users', user],
    ['max_client_conn', '20'],
    ['ignore_startup_parameters', 'extra_float_digits'],
    ...taken,
  ]
  const lines = settings.map(([key, value]) => `${key} = ${value}`)
  return `%include ${copy.path(databasesFile)}\n\n[pgbouncer]\n${lines.join('\n')}\n`
}

function clientOf(config: pg.ClientConfig): AskingClient {
  let client: pg.Client | null = null
  const drop = () => {
    client?.connection.stream.destroy()
    client = null
  }
  const ask = async (signal: AbortSignal) => {
    signal.addEventListener('abort', drop, { once: true })
    try {
      if (!client) {
        client = new pg.Client({ ...config, connectionTimeoutMillis: 10_000 })
        client.on('error', () => {})
        await client.connect()
      }
      await client.query('SELECT 1')
    } catch (thrown) {
      drop()
      throw thrown
    } finally {
      signal.removeEventListener('abort', drop)
    }
  }
  return new AskingClient({ name: `pgbouncer ${config.database}`, ask })
}

function unusable(why: string): ReplatformError {
  return new ReplatformError('routing.failed', { message: `PgBouncer cannot be copied: ${why}.` })
}
