import { setTimeout as sleep } from 'node:timers/promises'
import type { Endpoint } from '@replatform/core/connector'
import pg from 'pg'
import { LeanSocket } from './lean-socket.ts'
import { toPostgresqlError } from './postgresql-error.ts'
import { filterSettings } from './table-filter.ts'
import { connectionOf } from './wire.ts'

export interface SessionOptions {
  readonly endpoint: Endpoint
  /** Which side it is for people: `source` or `target`. */
  readonly side: 'source' | 'target'
  /** Shown in pg_stat_activity as `replatform <move> <role>`. */
  readonly move: string
  readonly role: string
  /** Sends statements without waiting for the answers of those before. */
  readonly pipeline?: boolean
  /** Speaks the replication protocol. */
  readonly replication?: boolean
}

/** Both sides must write every value as the same text, whatever their servers default to. */
const settings: Record<string, string> = {
  datestyle: 'ISO',
  intervalstyle: 'postgres',
  timezone: 'UTC',
  bytea_output: 'hex',
  extra_float_digits: '3',
  lc_monetary: 'C',
  xmloption: 'content',
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  search_path: 'pg_catalog',
}

export type Session = pg.Client

/** Name under which a move's sessions appear in pg_stat_activity. */
export function applicationName(move: string, role: string): string {
  return `replatform ${move} ${role}`.slice(0, 63)
}

/**
 * Connects with the settings that all of the connector relies on. Values come back as text: nothing on a path of
 * money may pass through a JavaScript number by accident. Fails with a code that says which side and why.
 */
export async function openSession(options: SessionOptions): Promise<Session> {
  const { endpoint, side, move, role, pipeline, replication } = options
  // The last one lets the session through the fence of its move.
  const own = { ...settings, 'replatform.mover': move, ...filterSettings(endpoint.tables) }
  const flags = Object.entries(own).map(([name, value]) => `-c ${name}=${value.replace(/[\\\s]/g, '\\$&')}`)
  const client = new pg.Client({
    connectionString: withoutOurs(endpoint.url),
    application_name: applicationName(move, role),
    options: flags.join(' '),
    client_encoding: 'UTF8',
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 30_000,
    stream: () => new LeanSocket(),
    types: { getTypeParser: () => (value: string) => value },
    ...(pipeline ? { pipeline: true } : {}),
    ...(replication ? { replication: 'database' } : {}),
  } as pg.ClientConfig)
  let major = 0
  const connection = connectionOf(client) as unknown as NodeJS.EventEmitter
  connection.on('parameterStatus', (status: { parameterName: string; parameterValue: string }) => {
    if (status.parameterName === 'server_version') major = Number.parseInt(status.parameterValue, 10)
  })
  // A connection that breaks while idle would otherwise end the process; the next statement reports it.
  client.on('error', () => {})
  try {
    await client.connect()
    // Limits that earlier servers do not know, so that they cannot be among the options above.
    const limits = [...(major >= 14 ? ['idle_session_timeout'] : []), ...(major >= 17 ? ['transaction_timeout'] : [])]
    if (limits.length > 0) client.query(limits.map((name) => `SET ${name} = 0`).join('; ')).catch(() => {})
  } catch (thrown) {
    throw toPostgresqlError(thrown, describe(endpoint.url, side))
  }
  return client
}

/** Parameters of an address would win over the session's own settings, the mover's pass through the fence among them. */
function withoutOurs(url: string): string {
  if (!URL.canParse(url)) return url
  const parsed = new URL(url)
  for (const name of ['options', 'application_name', 'client_encoding', 'replication']) parsed.searchParams.delete(name)
  return parsed.href
}

/** How long an orderly end is waited for. */
export const farewellMs = 300

/** Ends a session in any state. Saying goodbye to a server that does not answer would take for ever. */
export async function closeSession(session: Session): Promise<void> {
  await Promise.race([session.end().catch(() => {}), sleep(farewellMs)])
  connectionOf(session).stream.destroy()
}

/** Runs work in a session of its own that is closed afterwards, and translates errors. */
export async function withSession<T>(options: SessionOptions, work: (session: Session) => Promise<T>): Promise<T> {
  const session = await openSession(options)
  try {
    return await work(session)
  } catch (thrown) {
    throw toPostgresqlError(thrown, describe(options.endpoint.url, options.side))
  } finally {
    await closeSession(session)
  }
}

/** `the source postgresql://ledger.example:5432/ledger`: what a person needs, without user and password. */
export function describe(url: string, side: 'source' | 'target'): string {
  try {
    const { hostname, port, pathname } = new URL(url)
    return `the ${side} ${hostname}:${port || '5432'}${pathname}`
  } catch {
    return `the ${side}`
  }
}
