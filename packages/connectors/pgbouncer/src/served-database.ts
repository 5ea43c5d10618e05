import type { AdminConsole } from './admin-console.ts'

/** A database as PgBouncer serves it right now, whatever its file says. */
export interface ServedDatabase {
  readonly name: string
  /** Null for a Unix socket. */
  readonly host: string | null
  readonly port: number
  readonly dbname: string
  readonly paused: boolean
  /** Null where the database leaves it to the whole PgBouncer. */
  readonly poolMode: string | null
}

export async function findDatabase(
  console: AdminConsole,
  name: string,
  withinMs?: number,
): Promise<ServedDatabase | undefined> {
  const rows = await console.run('SHOW DATABASES', withinMs)
  const row = rows.find((candidate) => candidate.name === name)
  return (
    row && {
      name,
      host: row.host ?? null,
      port: Number(row.port),
      dbname: row.database ?? name,
      paused: row.paused === '1',
      poolMode: row.pool_mode ?? null,
    }
  )
}

/** What pools sessions for that database, named; empty when PAUSE can wait for transactions only. */
export async function sessionPools(
  console: AdminConsole,
  database: ServedDatabase,
  withinMs?: number,
): Promise<string[]> {
  const settings = await console.run('SHOW CONFIG', withinMs)
  const general = settings.find(({ key }) => key === 'pool_mode')?.value
  // A user's own pool_mode goes over the database's.
  const users = await console.run('SHOW USERS', withinMs)
  const pools = users.filter(({ pool_mode }) => pool_mode === 'session').map(({ name }) => `user ${name}`)
  if ((database.poolMode ?? general) === 'session') pools.unshift(`database ${database.name}`)
  return pools
}

export function describeAddress(address: {
  readonly host: string | null | undefined
  readonly port: number | undefined
  readonly dbname: string | undefined
}): string {
  return `${address.host ?? 'socket'}:${address.port ?? 5432}/${address.dbname ?? '(same name)'}`
}
