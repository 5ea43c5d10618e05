import type { PostgresqlServer } from '@replatform/testkit/postgresql-server'

/**
 * Everything about a database that a move could change, as lines of text: two of them are equal when nothing was
 * touched. Rows by their number and a digest of their text.
 */
export async function fingerprint(server: PostgresqlServer, database: string): Promise<string[]> {
  const rows = await server.query<{ line: string }>(catalogSql, database)
  const tables = await server.query<{ name: string }>(tablesSql, database)
  const lines = rows.map(({ line }) => line)
  for (const { name } of tables) {
    const [content] = await server.query<{ line: string }>(
      `SELECT concat_ws(' ', count(*), md5(coalesce(string_agg(t::text, '' ORDER BY t::text), ''))) AS line FROM ${name} t`,
      database,
    )
    lines.push(`rows ${name} ${content?.line}`)
  }
  return lines.sort()
}

const own = `n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'`

const tablesSql = `SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND ${own} ORDER BY 1`

const catalogSql = `
SELECT concat_ws(' ', 'schema', nspname, nspacl) AS line FROM pg_namespace n WHERE ${own}
UNION ALL SELECT concat_ws(' ', 'relation', c.oid::regclass, c.relkind, c.relreplident, c.relacl, c.relowner::regrole)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ${own}
UNION ALL SELECT concat_ws(' ', 'column', a.attrelid::regclass, a.attname, a.atttypid::regtype, a.attnotnull)
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE a.attnum > 0 AND c.relkind IN ('r', 'p') AND ${own}
UNION ALL SELECT concat_ws(' ', 'trigger', tgrelid::regclass, tgname, tgenabled) FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT concat_ws(' ', 'function', p.oid::regprocedure) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE ${own}
UNION ALL SELECT concat_ws(' ', 'event trigger', evtname) FROM pg_event_trigger
UNION ALL SELECT concat_ws(' ', 'publication', pubname) FROM pg_publication
UNION ALL SELECT concat_ws(' ', 'slot', slot_name) FROM pg_replication_slots WHERE database = current_database()
UNION ALL SELECT concat_ws(' ', 'database', datacl) FROM pg_database WHERE datname = current_database()
UNION ALL SELECT concat_ws(' ', 'role', rolname, rolcanlogin, rolsuper) FROM pg_roles WHERE rolname !~ '^pg_'`

/** What a move leaves or left behind, other than rows: slots, publications, its schema, triggers, doors. */
export async function traces(server: PostgresqlServer, database: string): Promise<string[]> {
  const lines = await fingerprint(server, database)
  return lines.filter((line) => /^(slot|publication|event trigger) |replatform/.test(line))
}
