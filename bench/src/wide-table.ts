import type { PostgresqlServer } from '@replatform/testkit/postgresql-server'

const plainColumns = 40

/**
 * `wide`: 40 columns of several types, and a body of 3 to 9 kB that no compression makes small, so that it lies in
 * TOAST: 1,000 rows, some 6.5 MB, for each unit of scale. Two indexes beside the key.
 */
export async function fillWideTable(server: PostgresqlServer, database: string, scale: number): Promise<void> {
  const kinds = ['bigint', 'text', 'numeric(12,2)', 'timestamptz']
  const values = ['i * 7', `'value ' || i`, 'i / 100.0', `'2026-01-01'::timestamptz + i * interval '1 s'`]
  const places = Array.from({ length: plainColumns }, (_, n) => n)
  const columns = places.map((n) => `c${n} ${kinds[n % kinds.length]}`)
  await server.query(`CREATE TABLE wide (id bigint PRIMARY KEY, ${columns.join(', ')}, body text)`, database)
  await server.query('ALTER TABLE wide ALTER body SET STORAGE EXTERNAL', database)
  await server.query(
    `INSERT INTO wide SELECT i, ${places.map((n) => values[n % values.length]).join(', ')},
       (SELECT string_agg(md5(i || ' ' || n), '') FROM generate_series(1, 100 + i % 180) n)
     FROM generate_series(1, ${scale * 1_000}) i`,
    database,
  )
  await server.query('CREATE INDEX wide_text ON wide (c1); CREATE INDEX wide_time ON wide (c3, id)', database)
}
