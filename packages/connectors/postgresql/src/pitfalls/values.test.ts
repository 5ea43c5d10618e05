/**
 * Goal: every value arrives as it was, by the load (in binary or as text) and by the change stream (as text).
 * Method: see `pitfall-suite.ts`; each type is loaded, written again, and inserted once more while the move follows.
 */
import { expect } from 'vitest'
import { type Pitfall, testPitfalls } from '../test-fixtures/pitfall-suite.ts'

/** One column of a type: loaded, moved from row to row, cleared, and inserted again. */
function typed(name: string, type: string, values: readonly string[], before = ''): Pitfall {
  const rows = values.map((value, i) => `(${i + 1}, ${value})`).join(', ')
  const shifted = values.map((value, i) => `(${i + 101}, ${value})`).join(', ')
  return {
    name,
    schema: `${before} CREATE TABLE t (id int PRIMARY KEY, v ${type}); INSERT INTO t VALUES (0, NULL), ${rows};
      CREATE TABLE whole (v ${type}); ALTER TABLE whole REPLICA IDENTITY FULL; INSERT INTO whole SELECT v FROM t`,
    following: [
      `INSERT INTO t VALUES ${shifted}`,
      `UPDATE t SET v = (SELECT o.v FROM t o WHERE o.id = (t.id % ${values.length}) + 1) WHERE id BETWEEN 1 AND 100`,
      'UPDATE t SET v = NULL WHERE id = 101',
      `INSERT INTO whole SELECT v FROM t WHERE id BETWEEN 2 AND 9`,
      'DELETE FROM whole WHERE ctid = (SELECT max(ctid) FROM whole)',
      'UPDATE whole SET v = NULL WHERE ctid = (SELECT min(ctid) FROM whole WHERE v IS NOT NULL)',
    ],
  }
}

testPitfalls({
  on: [
    { source: 13, target: 17 },
    { source: 15, target: 18 },
  ],
  before: `CREATE EXTENSION hstore SCHEMA public; CREATE EXTENSION ltree SCHEMA public; CREATE EXTENSION citext SCHEMA public;
    CREATE EXTENSION cube SCHEMA public; CREATE EXTENSION seg SCHEMA public; CREATE EXTENSION isn SCHEMA public; CREATE EXTENSION intarray SCHEMA public`,
  pitfalls: (major) => [
    typed('numeric specials: NaN, infinity, no scale, thousands of digits', 'numeric', [
      `'NaN'`,
      '1.10',
      '1.1',
      '0.000',
      `'-0.0000000000000000000001'`,
      `repeat('9', 5000)::numeric`,
      ...(major >= 14 ? [`'Infinity'`, `'-Infinity'`] : []),
    ]),
    typed(
      'numeric with scale, and with a negative one where the server knows it',
      major >= 15 ? 'numeric(5,-2)' : 'numeric(20,6)',
      ['12300', '-99900', '0'],
    ),
    typed('floats to the last digit, NaN, infinities and the negative zero', 'float8', [
      `'NaN'`,
      `'-0'`,
      `'Infinity'`,
      '0.1',
      '5e-324',
      '1.7976931348623157e308',
    ]),
    typed('real to the last digit', 'real', [`'NaN'`, `'-0'`, '0.1', '1e-45', '3.4028235e38']),
    typed('dates and timestamps: infinity, before Christ, far ahead', 'timestamp', [
      `'infinity'`,
      `'-infinity'`,
      `'4713-01-01 00:00:00 BC'`,
      `'294276-12-31 23:59:59.999999'`,
      `'2026-02-29'::text::date + interval '0'`.replace('2026-02-29', '2028-02-29'),
    ]),
    typed('timestamps with time zone and a precision', 'timestamptz(3)', [
      `'infinity'`,
      `'2026-03-29 02:30:00 Europe/Berlin'`,
      `'0044-03-15 BC'`,
    ]),
    typed('times with zone, and the 24th hour', 'timetz', [`'24:00:00+15:59:59'`, `'00:00:00.000001-12'`]),
    typed('intervals: months, days and seconds apart, of every sign', 'interval', [
      `'1 mon -2 days 03:04:05.000006'`,
      `'-1 years 13 mons'`,
      `'-00:00:00.000001'`,
      `'178000000 years'`,
    ]),
    typed('intervals of restricted fields', 'interval day to second(2)', [`'3 days 04:05:06.789'`]),
    typed('text: empty, quotes, backslashes, tabs, newlines, beyond the basic plane', 'text', [
      `''`,
      `E'a\\\\N\\tb\\n\\r\\'"{}(),'`,
      `'\\N'`,
      `'NULL'`,
      `'été 你好 🏦 ' || chr(1)`,
      `repeat('x', 9000)`,
    ]),
    typed('blank-padded and limited text', 'char(5)', [`'ab'`, `''`, `'  x  '`, `'äöü'`]),
    typed('limited text', 'varchar(4)', [`'ab  '`, `''`, `'🏦🏦🏦🏦'`]),
    typed('the one-byte "char" and name', '"char"', [`'a'`, `''`]),
    typed('bytea with every byte', 'bytea', [
      `''`,
      `decode('00ff5c27', 'hex')`,
      `(SELECT string_agg(decode(lpad(to_hex(i), 2, '0'), 'hex'), '') FROM generate_series(0, 255) i)`,
    ]),
    typed('bit strings', 'varbit', [`B''`, `B'101'`, `B'1'`]),
    typed('booleans', 'bool', ['true', 'false']),
    typed('money', 'money', [`'-92233720368547758.08'`, `'12.34'`]),
    typed('uuid', 'uuid', [`'00000000-0000-0000-0000-000000000000'`, `'ffffffff-ffff-ffff-ffff-ffffffffffff'`]),
    typed('network addresses', 'inet', [`'10.0.0.1/8'`, `'::1'`, `'2001:db8::/32'`]),
    typed('MAC addresses', 'macaddr8', [`'08:00:2b:01:02:03:04:05'`]),
    typed('json keeps spaces, order and doubled keys', 'json', [
      `'{"b": 1,  "a":2, "a": 3}'`,
      `'null'`,
      `'"\\u00e9"'`,
      `'[ ]'`,
    ]),
    typed('jsonb with numbers beyond floats', 'jsonb', [
      `'{"a": 1.10, "b": 12345678901234567890123456789}'`,
      `'null'`,
      `'[]'`,
    ]),
    typed('jsonpath', 'jsonpath', [`'$.a[*] ? (@ > 1)'`]),
    typed('xml, content and documents', 'xml', [
      `'<a b="1">x</a>'`,
      `'text only'`,
      `'<?xml version="1.0"?><!DOCTYPE a><a/>'`,
      `'<a/><b/>'`,
    ]),
    typed('geometry', 'polygon', [`'((0,0),(1,1.1),(2,0))'`, `'((0.1,-0),(1e300,1))'`]),
    typed('boxes, whose arrays are delimited by semicolons', 'box[]', [`'{(1,1),(0,0);(2,2),(1,1)}'`]),
    typed('paths, lines, circles', 'path', [`'[(0,0),(1,1)]'`, `'((0,0),(1,1))'`]),
    typed('full-text search', 'tsvector', [`'a:1A b:2,3 ''it''''s'''`, `''`]),
    typed('full-text queries', 'tsquery', [`'a & !b <-> c:*A'`]),
    typed('log positions and transaction snapshots', 'pg_lsn', [`'16/B374D848'`, `'0/0'`]),
    typed('transaction snapshots', 'txid_snapshot', [`'10:20:10,14'`]),
    typed('arrays: nulls, empties, bounds that begin elsewhere, several dimensions', 'text[]', [
      `'{}'`,
      `'{NULL,"NULL","",a b,"c\\"d\\\\e","{}"}'`,
      `'[5:6]={x,y}'`,
      `'{{a,b},{c,NULL}}'`,
    ]),
    typed('arrays of arrays of bytes and of numbers', 'numeric[]', [
      `'{1.10,NaN,NULL}'`,
      `'[-1:0][2:3]={{1,2},{3,4}}'`,
    ]),
    typed(
      'enums, and labels that were added and put before others',
      'mood',
      [`'sad'`, `'it''s "fine"'`, `'middle'`],
      `CREATE TYPE mood AS ENUM ('sad', 'it''s "fine"'); ALTER TYPE mood ADD VALUE 'middle' BEFORE 'sad'; COMMIT;`,
    ),
    typed(
      'arrays of enums',
      'mood[]',
      [`'{sad,happy}'`, `'{}'`, `'{NULL}'`],
      `CREATE TYPE mood AS ENUM ('sad', 'happy');`,
    ),
    typed(
      'domains with a check, and domains over domains',
      'amount',
      ['0', '12.50'],
      'CREATE DOMAIN money_like AS numeric(12,2) CHECK (VALUE >= 0); CREATE DOMAIN amount AS money_like CHECK (VALUE < 1000);',
    ),
    typed('arrays of domains', 'code[]', [`'{AB,CD}'`], `CREATE DOMAIN code AS text CHECK (VALUE ~ '^[A-Z]+$');`),
    typed(
      'composites: nested, with nulls, quotes and a dropped attribute',
      'outer_type',
      [
        `ROW(1, ROW('a,b', NULL)::inner_type, ARRAY['x"y']::text[])`,
        `ROW(NULL, NULL, NULL)`,
        `ROW(2, ROW('', 3)::inner_type, '{}')`,
      ],
      `CREATE TYPE inner_type AS (t text, gone int, n int); ALTER TYPE inner_type DROP ATTRIBUTE gone; CREATE TYPE outer_type AS (a int, i inner_type, l text[]);`,
    ),
    typed(
      'arrays of composites',
      'pair[]',
      [`ARRAY[ROW(1, 'a'), ROW(NULL, '"')]::pair[]`],
      `CREATE TYPE pair AS (a int, b text);`,
    ),
    typed('the row type of another table', 'made', [`ROW(1, 'x')`], `CREATE TABLE made (a int, b text);`),
    typed('ranges: empty, unbounded, of every bound', 'numrange', [`'empty'`, `'(,)'`, `'[1.1,2.20)'`, `'(,5]'`]),
    typed('ranges of timestamps', 'tstzrange', [`'[2026-01-01,)'`, `'empty'`, `'["2026-01-01 00:00:00+07",infinity]'`]),
    typed(
      'ranges made by a user, over a type made by a user',
      'moods',
      [`'[sad,happy)'`, `'empty'`, `'(,)'`],
      `CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy'); CREATE TYPE moods AS RANGE (subtype = mood);`,
    ),
    ...(major >= 14
      ? [
          typed('multiranges', 'int4multirange', [`'{}'`, `'{[1,3),[5,7)}'`, `'{(,)}'`]),
          typed(
            'multiranges made by a user',
            'floatmultirange',
            [`'{[0.1,0.2),[0.3,)}'`],
            `CREATE TYPE floatrange AS RANGE (subtype = float8, multirange_type_name = floatmultirange);`,
          ),
        ]
      : []),
    typed('names of catalogue objects', 'regclass', [`'pg_class'`, `'pg_type'`]),
    typed('object ids', 'oid', ['4294967295', '0']),
    typed('extension types: hstore', 'public.hstore', [`'a=>1, "b c"=>NULL, d=>"\\"q\\""'`, `''`]),
    typed('extension types: ltree and lquery', 'public.ltree', [`'top.mid.leaf'`, `''`]),
    typed('extension types: lquery', 'public.lquery', [`'*.a|b{1,2}.!c'`]),
    typed('extension types: citext', 'public.citext', [`'MiXed'`, `''`]),
    typed('extension types: citext arrays', 'public.citext[]', [`'{A,b}'`]),
    typed('extension types: cube', 'public.cube', [`'(1,2),(3,4.5)'`]),
    typed('extension types: seg', 'public.seg', [`'5 .. 6.50'`, `'< 7.0'`]),
    typed('extension types: isn', 'public.isbn13', [`'978-0-393-04002-9'`]),
    {
      name: 'a default that computes, a null against it, and a column with a collation',
      schema: `CREATE TABLE t (id int PRIMARY KEY, a text DEFAULT 'x', b timestamptz DEFAULT now(), c text COLLATE "C"); INSERT INTO t (id, a) VALUES (1, NULL), (2, 'y')`,
      following: [
        `INSERT INTO t (id) VALUES (3)`,
        'UPDATE t SET a = DEFAULT WHERE id = 1',
        'INSERT INTO t VALUES (4, NULL, NULL, NULL)',
      ],
      expected: async ({ target }) => {
        const { rows } = await target.query('SELECT a FROM t ORDER BY id')
        expect(rows.map((row) => row.a)).toEqual(['x', 'y', 'x', null])
      },
    },
    {
      name: 'columns that were added with a default live in no row yet, and dropped ones in every row',
      schema: `CREATE TABLE t (id int PRIMARY KEY, gone text, n int); INSERT INTO t SELECT i, 'g', i FROM generate_series(1, 100) i;
        ALTER TABLE t ADD late text DEFAULT 'late', ADD later int; ALTER TABLE t DROP gone; ALTER TABLE t ADD last numeric DEFAULT 1.50`,
      following: [
        'UPDATE t SET n = 0 WHERE id = 1',
        `UPDATE t SET late = NULL WHERE id = 2`,
        'INSERT INTO t VALUES (101, 1)',
      ],
    },
  ],
})
