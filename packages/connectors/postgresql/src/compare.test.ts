/**
 * Two real servers, 13 and 17, whose databases collate differently, hold the same rows of every common type. Each fault
 * is made inside the target's transaction, must be found with the right counts, and is rolled back.
 */
import type { CompareResult } from '@replatform/core/difference'
import { isEqual } from '@replatform/core/difference'
import { type PostgresqlServer, startPostgresql } from '@replatform/testkit/postgresql-server'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compareKeys, compareTables } from './compare.ts'
import { openSession, type Session } from './session.ts'

let source: PostgresqlServer
let target: PostgresqlServer

beforeAll(async () => {
  ;[source, target] = await Promise.all([startPostgresql({ major: 13 }), startPostgresql({ major: 17 })])
  await source.query(`CREATE DATABASE bank TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'`)
  await target.query(
    `CREATE DATABASE bank TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C' LOCALE_PROVIDER icu ICU_LOCALE 'en-US'`,
  )
  for (const server of [source, target]) await server.query(schema, 'bank')
  // Object ids of types made by users must not matter.
  await target.query('CREATE TYPE unrelated AS ENUM ()', 'bank')
  // So that it is known which rows are short enough to be sent as they are; those of `kinds` are not.
  await source.query('ANALYZE', 'bank')
})

afterAll(async () => {
  await source?.[Symbol.asyncDispose]()
  await target?.[Symbol.asyncDispose]()
})

const schema = `
CREATE TYPE mood AS ENUM ('happy', 'Sad');
CREATE DOMAIN cents AS bigint CHECK (VALUE >= 0);
CREATE TYPE pair AS (a int, b text);
CREATE TYPE textrange AS RANGE (subtype = text);
CREATE TABLE kinds (
  id bigint PRIMARY KEY, b bool, i2 int2, i4 int4, n numeric, n2 numeric(12,2), f4 float4, f8 float8, t text, v varchar(40),
  c char(8), by bytea, d date, ti time, tz timetz, ts timestamp, tstz timestamptz, iv interval, u uuid, j json, jb jsonb,
  net inet, ci cidr, mac macaddr, bi bit(5), vb bit varying, m money, x xml, p point, r int4range, tr textrange, mo mood,
  ce cents, co pair, ia int[], ta text[], ma mood[], ca cents[], tsv tsvector, rc regclass, l pg_lsn,
  g bigint GENERATED ALWAYS AS (i4 * 2) STORED);
INSERT INTO kinds SELECT i, i % 2 = 0, i, i, i * 1.10, i * 1.1, i / 3.0, i / 7.0, 'text ' || i, 'v' || i, 'c' || i,
  decode(md5(i::text), 'hex'), '2020-02-29'::date + i, '12:34:56.789'::time + i * interval '1 s', '01:02:03+05',
  '2020-01-01'::timestamp + i * interval '1 us', '2020-01-01 00:00+07'::timestamptz + i * interval '1 us',
  i * interval '1 mon 2 d 3.5 s', md5(i::text)::uuid, json_build_object('a', i), jsonb_build_object('b', i),
  '10.0.0.1/8', '10.1.0.0/16', '08:00:2b:01:02:03', B'10101', B'1', i::text::money, '<a/>', point(i, i), int4range(i, i + 9),
  textrange('a', 'b'), 'Sad', i, ROW(i, 'x')::pair, ARRAY[i, NULL], ARRAY['a', NULL, 'NULL', ''], ARRAY['happy']::mood[],
  ARRAY[i]::cents[], to_tsvector('simple', 'one two'), 'kinds', '16/B374D848'
  FROM generate_series(1, 500) i;
INSERT INTO kinds (id, t, f8, n) VALUES (-5, NULL, 'NaN', 'NaN'), (0, '', '-0', 0), (9000000000000000000, E'a\\tb"\\\\', 'Infinity', 1.00);
CREATE TABLE words (word text PRIMARY KEY, at timestamptz);
INSERT INTO words SELECT w, '2021-01-01' FROM unnest(ARRAY['a','A','b','B','ä','Z','z','_','-','é','e','ẹ','1','10','2','ab','Ab','a b','😀','đồng']) w;
CREATE TABLE "Odd ""Name" ("Part One" int, "UPPER" varchar(20), at timestamp, n numeric, flag bool, "Value" text, PRIMARY KEY ("UPPER", "Part One", n, at, flag));
INSERT INTO "Odd ""Name" SELECT i % 7 - 3, chr(64 + i % 26), '1999-12-31'::timestamp + i * interval '1 day', i, i % 2 = 0, i FROM generate_series(1, 300) i;
CREATE TABLE keyless (a int, b text);
INSERT INTO keyless SELECT i % 3, 'x' FROM generate_series(1, 30) i;
CREATE TABLE moods (mood mood, day date, PRIMARY KEY (mood, day));
INSERT INTO moods VALUES ('happy', '-infinity'), ('happy', 'infinity'), ('happy', '0044-03-15 BC'), ('Sad', '2020-01-01');
CREATE TABLE parted (id int, v text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (MINVALUE) TO (100);
CREATE TABLE parted_high PARTITION OF parted FOR VALUES FROM (100) TO (MAXVALUE);
INSERT INTO parted SELECT i, 'p' FROM generate_series(50, 149) i;
CREATE TABLE empty (id uuid PRIMARY KEY);
CREATE TABLE swapped (id uuid PRIMARY KEY, debit int, credit int);
INSERT INTO swapped SELECT md5(i::text)::uuid, i, 1000 - i FROM generate_series(1, 200) i;
`

interface Fault {
  readonly name: string
  readonly table: string
  readonly sql: string
  readonly found: Partial<Pick<CompareResult, 'mismatched' | 'missing' | 'extra'>>
  readonly sample: { readonly key: string | RegExp; readonly columns?: readonly string[] }
  /** Keys as text, where the fault can be found by them. */
  readonly keys?: readonly string[][]
}

/** What a bug, a wrong setting or a half-done load does to data. Every one of them must be found. */
const faults: readonly Fault[] = [
  {
    name: 'one bit of a bytea',
    table: 'public.kinds',
    sql: `UPDATE kinds SET by = set_bit(by, 3, 1 - get_bit(by, 3)) WHERE id = 7`,
    found: { mismatched: 1 },
    sample: { key: '7', columns: ['by'] },
    keys: [['7'], ['8']],
  },
  kinds('one digit of a numeric', 'n2', 'n2 + 0.01'),
  kinds('trailing zeros of a numeric', 'n', 'n::numeric(20,5)'),
  kinds('a microsecond', 'tstz', `tstz + interval '1 us'`),
  kinds('a time zone', 'tz', `'00:02:03+04'`),
  kinds('a day as 24 hours', 'iv', `justify_hours(iv + interval '24 h') - interval '24 h'`),
  kinds('an empty string for NULL', 't', `''`, -5),
  kinds('NULL for an empty string', 't', 'NULL', 0),
  kinds('zero for minus zero', 'f8', '0', 0),
  kinds('infinity for NaN', 'f8', `'Infinity'`, -5),
  kinds('the last bit of a float', 'f8', 'f8 + 1e-15'),
  kinds('json whitespace', 'j', `'{"a" :  7}'`),
  kinds('an enum', 'mo', `'happy'`),
  kinds('a domain', 'ce', 'ce + 1'),
  kinds('a composite', 'co', `ROW((co).a, 'y')::pair`),
  kinds('NULL and the word NULL in an array', 'ta', `ARRAY['a', 'NULL', 'NULL', '']`),
  kinds('an array of a domain', 'ca', 'ARRAY[1, 2]::cents[]'),
  kinds('a shifted array', 'ia', `'[0:1]={7,NULL}'`),
  kinds('a padded text', 'v', `v || ' '`),
  kinds('another relation', 'rc', `'words'`),
  {
    name: 'another Unicode normalization of a value',
    table: 'public.keyless',
    sql: `INSERT INTO keyless VALUES (9, U&'e\\0301')`,
    found: { extra: 1 },
    sample: { key: /^row [0-9a-f]{8}$/ },
  },
  {
    name: 'another Unicode normalization of a key',
    table: 'public.words',
    sql: `UPDATE words SET word = normalize(word, NFD) WHERE word = 'é'`,
    found: { missing: 1, extra: 1 },
    sample: { key: /^…[0-9a-f]{8}$/ },
  },
  {
    name: 'a missing row',
    table: 'public.words',
    sql: `DELETE FROM words WHERE word = 'đồng'`,
    found: { missing: 1 },
    sample: { key: /^…[0-9a-f]{8}$/ },
    keys: [['đồng'], ['a'], ['is nowhere']],
  },
  {
    name: 'an extra row before all others',
    table: 'public.kinds',
    sql: 'INSERT INTO kinds (id) VALUES (-9000000000000000000)',
    found: { extra: 1 },
    sample: { key: '-9000000000000000000' },
    keys: [['-9000000000000000000']],
  },
  {
    name: 'a row that stands twice without a key',
    table: 'public.keyless',
    sql: `INSERT INTO keyless VALUES (1, 'x')`,
    found: { extra: 1 },
    sample: { key: /^row / },
    keys: [[]],
  },
  {
    name: 'a row that stands twice under a key that lost its constraint',
    table: 'public.swapped',
    sql: `ALTER TABLE swapped DROP CONSTRAINT swapped_pkey; INSERT INTO swapped SELECT * FROM swapped ORDER BY id LIMIT 1`,
    found: { extra: 1 },
    sample: { key: /^[0-9a-f-]{36}$/ },
  },
  {
    name: 'two columns swapped',
    table: 'public.swapped',
    sql: 'UPDATE swapped SET debit = credit, credit = debit WHERE debit < 4',
    found: { mismatched: 3 },
    sample: { key: /^[0-9a-f-]{36}$/, columns: ['debit', 'credit'] },
  },
  {
    name: 'a composite key',
    table: 'public.Odd "Name',
    sql: `UPDATE "Odd ""Name" SET "Value" = '' WHERE n = 77`,
    found: { mismatched: 1 },
    sample: { key: /^\(…[0-9a-f]{8}, -3, …[0-9a-f]{8}, …[0-9a-f]{8}, …[0-9a-f]{8}\)$/, columns: ['Value'] },
    keys: [['Y', '-3', '77', '2000-03-17 00:00:00', 'false']],
  },
  {
    name: 'a key of an enum and a date',
    table: 'public.moods',
    sql: `DELETE FROM moods WHERE day = '0044-03-15 BC'`,
    found: { missing: 1 },
    sample: { key: /^\(…[0-9a-f]{8}, …[0-9a-f]{8}\)$/ },
    keys: [['happy', '0044-03-15 BC']],
  },
  {
    name: 'a row in another partition',
    table: 'public.parted_low',
    sql: `DELETE FROM parted_low WHERE id = 60; ALTER TABLE parted DETACH PARTITION parted_high;
          INSERT INTO parted_high VALUES (60, 'p')`,
    found: { missing: 1 },
    sample: { key: '60' },
  },
  {
    name: 'a column that is not there',
    table: 'public.words',
    sql: 'ALTER TABLE words DROP COLUMN at',
    found: { mismatched: 20 },
    sample: { key: 'every row', columns: ['at'] },
  },
  {
    name: 'a column that is not there in an empty table',
    table: 'public.empty',
    sql: 'ALTER TABLE empty ADD COLUMN more int',
    found: { mismatched: 1 },
    sample: { key: 'every row', columns: ['more'] },
  },
  {
    name: 'a table that is not there',
    table: 'public.words',
    sql: 'DROP TABLE words',
    found: { missing: 20 },
    sample: { key: 'the whole table' },
  },
  {
    name: 'a table of its own',
    table: 'public.own',
    sql: 'CREATE TABLE own AS SELECT 1 AS a FROM generate_series(1, 3)',
    found: { extra: 3 },
    sample: { key: 'the whole table' },
  },
]

function kinds(name: string, column: string, value: string, id = 7): Fault {
  return {
    name,
    table: 'public.kinds',
    sql: `UPDATE kinds SET ${column} = ${value} WHERE id = ${id}`,
    found: { mismatched: 1 },
    sample: { key: String(id), columns: [column] },
    keys: [[String(id)]],
  }
}

test('equal sides are equal, whatever their versions, collations and object ids', async () => {
  await using sides = await openSides()
  const results = await compareTables(sides)
  expect(results.filter((result) => !isEqual(result))).toEqual([])
  const counts = Object.fromEntries(results.map((result) => [result.name, result.matching]))
  expect(counts).toEqual({
    'public.Odd "Name': 300,
    'public.empty': 0,
    'public.keyless': 30,
    'public.kinds': 503,
    'public.moods': 4,
    'public.parted_high': 50,
    'public.parted_low': 50,
    'public.swapped': 200,
    'public.words': 20,
  })
})

describe('finds', () => {
  test.each(faults)('$name', async ({ table, sql, found, sample, keys }) => {
    await using sides = await openSides()
    const before = (await compareTables(sides)).find(({ name }) => name === table)
    await sides.target.query(`SET LOCAL search_path = public; ${sql}; SET LOCAL search_path = pg_catalog`)

    const results = await compareTables(sides)
    const result = results.find(({ name }) => name === table)
    expect(result).toMatchObject({ mismatched: 0, missing: 0, extra: 0, ...found })
    expect(result?.processed).toBe(before?.processed ?? 0)
    const text = sample.key instanceof RegExp ? expect.stringMatching(sample.key) : sample.key
    expect(result?.samples[0]).toMatchObject({ key: text, ...(sample.columns ? { columns: sample.columns } : {}) })
    const others = results.filter((other) => other.name !== table && !isEqual(other))
    expect(others.map(({ name }) => name)).toEqual(table === 'public.parted_low' ? ['public.parted_high'] : [])

    if (!keys) return
    const [changed] = await compareKeys({
      ...sides,
      changed: batches({ relation: table, keys: keys.map((key) => [...key]) }),
    })
    expect(changed).toMatchObject({ name: table, mismatched: 0, missing: 0, extra: 0, ...found })
    expect(changed?.samples[0]).toEqual(result?.samples[0])
  })
})

test('only the named keys are looked at, over any number of batches', async () => {
  await using sides = await openSides()
  await sides.target.query(`UPDATE public.kinds SET t = 'other' WHERE id IN (3, 4)`)
  const changed = batches(
    { relation: 'public.kinds', keys: [['1'], ['2'], ['3']] },
    { relation: 'public.words', keys: [['a'], ['A']] },
    { relation: 'public.kinds', keys: [['5'], ['123456']] },
  )
  expect(await compareKeys({ ...sides, changed })).toMatchObject([
    { name: 'public.kinds', processed: 4, matching: 3, mismatched: 1, missing: 0, extra: 0 },
    { name: 'public.words', processed: 2, matching: 2 },
  ])
})

test('at most ten samples, and every difference counted', async () => {
  await using sides = await openSides()
  await sides.target.query('DELETE FROM public.kinds WHERE id BETWEEN 1 AND 400')
  const result = (await compareTables(sides)).find(({ name }) => name === 'public.kinds')
  expect(result).toMatchObject({ processed: 503, missing: 400, matching: 103 })
  expect(result?.samples).toHaveLength(10)
})

test('stops when it is told to', async () => {
  await using sides = await openSides()
  const stop = new AbortController()
  const stopped = compareTables({ ...sides, signal: stop.signal, report: () => stop.abort(new Error('enough')) })
  await expect(stopped).rejects.toThrow('enough')
})

async function* batches(...items: { relation: string; keys: string[][] }[]) {
  yield* items
}

/** The target's transaction may write, so that a fault can be made and rolled back in it. */
async function openSides(): Promise<{ source: Session; target: Session } & AsyncDisposable> {
  const [from, to] = await Promise.all([
    openSession({ endpoint: endpoint(source), side: 'source', move: 'bank', role: 'compare' }),
    openSession({ endpoint: endpoint(target), side: 'target', move: 'bank', role: 'compare' }),
  ])
  await from.query('BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY')
  await to.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
  const close = async () => void (await Promise.allSettled([from.end(), to.end()]))
  return { source: from, target: to, [Symbol.asyncDispose]: close }
}

function endpoint(server: PostgresqlServer) {
  return { kind: 'postgresql', url: server.url('bank') } as const
}
