import type { PostgresqlServer } from '@replatform/testkit/postgresql-server'
import { readGrants } from '../grants.ts'

export interface MoverUrls {
  readonly source: string
  readonly target: string
}

const password = 'rig-mover'

/** Owns both databases once `keptByOwner` has run, and may do nothing else. */
export const keeper = 'keeper'

/** So that databases belong to an ordinary role, which makes what stands in them. */
export async function keptByOwner(servers: readonly PostgresqlServer[], database: string): Promise<void> {
  for (const server of servers) {
    await server.query(`DO $$ BEGIN CREATE ROLE ${keeper}; EXCEPTION WHEN duplicate_object THEN NULL; END $$`)
    await server.query(`ALTER DATABASE "${database}" OWNER TO ${keeper}`)
  }
}

/**
 * Gives both databases, and the tables of the source, to an ordinary role, and runs what `replatform grants` prints
 * then. Returns the addresses for the accounts that this made, which have no other rights. Both sides may be one.
 */
export async function moverAccounts(
  { source, target }: { readonly source: PostgresqlServer; readonly target: PostgresqlServer },
  database: string,
): Promise<MoverUrls> {
  const servers = source === target ? [source] : [source, target]
  await keptByOwner(servers, database)
  await source.query(giveToKeeper, database)
  const endpoint = (server: PostgresqlServer) => ({ kind: 'postgresql' as const, url: server.url(database) })
  const sides = { source: endpoint(source), target: endpoint(target) }
  const grants = await readGrants({ ...sides, move: database, account: 'mover' })
  for (const [i, server] of servers.entries()) {
    for (const statement of grants[i]?.statements ?? []) await server.query(statement, database)
    await server.query(`ALTER ROLE mover PASSWORD '${password}'`)
  }
  return { source: source.url(database, 'mover', password), target: target.url(database, 'mover', password) }
}

/** Sequences that a column owns go with their table. */
const giveToKeeper = `DO $$
  DECLARE relation regclass;
  BEGIN
    FOR relation IN SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    LOOP EXECUTE format('ALTER TABLE %s OWNER TO keeper', relation);
    END LOOP;
  END $$`
