/**
 * Goal: a change reaches exactly the row it means, whatever the source says of that row.
 * Method: see `pitfall-suite.ts`; each case changes rows in the way that its name says, while the move follows.
 */
import { expect } from 'vitest'
import { testPitfalls } from '../test-fixtures/pitfall-suite.ts'

/** Stored out of line and uncompressed, so that an UPDATE which leaves it alone does not send it. */
const toasted = (seed: string) => `(SELECT string_agg(md5('${seed}' || i), '') FROM generate_series(1, 300) i)`

testPitfalls({
  on: [
    { source: 13, target: 17 },
    { source: 15, target: 18 },
  ],
  pitfalls: () => [
    {
      name: 'unchanged TOAST stays as it is, also where the row is written again and again in one batch',
      schema: `CREATE TABLE t (id int PRIMARY KEY, n int, large text); ALTER TABLE t ALTER large SET STORAGE EXTERNAL;
        INSERT INTO t SELECT i, 0, ${toasted('a')} FROM generate_series(1, 20) i`,
      duringLoad: ['UPDATE t SET n = 1 WHERE id < 5'],
      following: [
        'UPDATE t SET n = 2',
        `UPDATE t SET large = ${toasted('b')} WHERE id = 3`,
        'UPDATE t SET n = 3 WHERE id = 3',
        `BEGIN; INSERT INTO t VALUES (100, 1, ${toasted('c')}); UPDATE t SET n = 2 WHERE id = 100; COMMIT`,
        'UPDATE t SET n = n',
      ],
    },
    {
      name: 'an UPDATE that leaves every sent column alone is no change',
      schema: `CREATE TABLE t (id int PRIMARY KEY, large text); ALTER TABLE t ALTER large SET STORAGE EXTERNAL;
        INSERT INTO t VALUES (1, ${toasted('a')})`,
      following: ['UPDATE t SET large = large'],
    },
    {
      name: 'unchanged TOAST under REPLICA IDENTITY FULL is taken from the old row',
      schema: `CREATE TABLE t (n int, large text); ALTER TABLE t REPLICA IDENTITY FULL; ALTER TABLE t ALTER large SET STORAGE EXTERNAL;
        CREATE TABLE keyed (id int PRIMARY KEY, n int, large text); ALTER TABLE keyed REPLICA IDENTITY FULL; ALTER TABLE keyed ALTER large SET STORAGE EXTERNAL;
        INSERT INTO t VALUES (1, ${toasted('a')}), (1, ${toasted('b')}); INSERT INTO keyed VALUES (1, 1, ${toasted('a')})`,
      following: [
        'UPDATE t SET n = 2',
        'UPDATE keyed SET n = 2',
        'UPDATE keyed SET id = 2',
        'BEGIN; UPDATE keyed SET id = 3; UPDATE keyed SET n = 9; COMMIT',
      ],
    },
    {
      name: 'a key that is itself in TOAST identifies its row',
      schema: `CREATE TABLE t (id text PRIMARY KEY, n int); ALTER TABLE t ALTER id SET STORAGE EXTERNAL;
        CREATE TABLE wide (id text PRIMARY KEY, n int, large text); ALTER TABLE wide ALTER id SET STORAGE EXTERNAL; ALTER TABLE wide ALTER large SET STORAGE EXTERNAL;
        INSERT INTO t SELECT repeat(md5(i::text), 70), i FROM generate_series(1, 9) i;
        INSERT INTO wide SELECT repeat(md5(i::text), 70), i, ${toasted('w')} FROM generate_series(1, 9) i`,
      following: [
        'UPDATE t SET n = n + 1',
        `UPDATE t SET id = id || 'x' WHERE n = 3`,
        'DELETE FROM t WHERE n = 5',
        'UPDATE wide SET n = n + 1',
        `UPDATE wide SET id = id || 'x' WHERE n = 3`,
        'DELETE FROM wide WHERE n = 5',
      ],
    },
    {
      name: 'key updates: chains, swaps through a third value, back again, and onto a deleted key',
      schema: `CREATE TABLE t (id int PRIMARY KEY, v text, large text); ALTER TABLE t ALTER large SET STORAGE EXTERNAL;
        CREATE TABLE pairs (a int, b text, v int, PRIMARY KEY (a, b));
        INSERT INTO t SELECT i, 'v' || i, ${toasted('k')} FROM generate_series(1, 30) i; INSERT INTO pairs SELECT i, 'b', i FROM generate_series(1, 9) i`,
      following: [
        'UPDATE t SET id = id + 1000',
        'BEGIN; UPDATE t SET id = 0 WHERE id = 1001; UPDATE t SET id = 1001 WHERE id = 1002; UPDATE t SET id = 1002 WHERE id = 0; COMMIT',
        'BEGIN; UPDATE t SET id = 7 WHERE id = 1007; UPDATE t SET id = 1007 WHERE id = 7; COMMIT',
        `BEGIN; DELETE FROM t WHERE id = 1009; UPDATE t SET id = 1009, v = 'moved' WHERE id = 1010; INSERT INTO t VALUES (1010, 'new', 'short'); COMMIT`,
        `BEGIN; UPDATE pairs SET b = 'c' WHERE a = 1; UPDATE pairs SET a = 100 WHERE b = 'c'; DELETE FROM pairs WHERE a = 2; INSERT INTO pairs VALUES (2, 'b', 9); COMMIT`,
      ],
    },
    {
      name: 'equal keys of another form: numeric scale, negative zero, a collation that folds case',
      schema: `CREATE TABLE n (id numeric PRIMARY KEY, v int); CREATE TABLE f (id float8 PRIMARY KEY, v int);
        CREATE EXTENSION IF NOT EXISTS citext SCHEMA public; CREATE TABLE c (id citext PRIMARY KEY, v int);
        INSERT INTO n VALUES (1.0, 1), (2, 2), ('NaN', 3); INSERT INTO f VALUES ('-0', 1), ('NaN', 2); INSERT INTO c VALUES ('Key', 1)`,
      following: [
        'UPDATE n SET id = 1.000 WHERE id = 1',
        'UPDATE n SET v = v + 1',
        `UPDATE f SET id = 0 WHERE id = '-0'`,
        'UPDATE f SET v = v + 1',
        `BEGIN; UPDATE c SET id = 'KEY'; UPDATE c SET v = 5; COMMIT`,
        `BEGIN; DELETE FROM c; INSERT INTO c VALUES ('key', 7); COMMIT`,
        'BEGIN; DELETE FROM n WHERE id = 2; INSERT INTO n VALUES (2.00, 9); COMMIT',
      ],
    },
    {
      name: 'REPLICA IDENTITY FULL: of equal rows exactly one changes',
      schema: `CREATE TABLE t (a int, b text); ALTER TABLE t REPLICA IDENTITY FULL;
        INSERT INTO t SELECT 1, 'same' FROM generate_series(1, 5); INSERT INTO t VALUES (NULL, NULL), (NULL, NULL)`,
      following: [
        `UPDATE t SET b = 'one' WHERE ctid = (SELECT min(ctid) FROM t WHERE a = 1)`,
        'DELETE FROM t WHERE ctid = (SELECT max(ctid) FROM t WHERE a = 1)',
        `UPDATE t SET b = 'null' WHERE ctid = (SELECT min(ctid) FROM t WHERE a IS NULL)`,
        `BEGIN; INSERT INTO t VALUES (2, 'x'), (2, 'x'); DELETE FROM t WHERE ctid = (SELECT min(ctid) FROM t WHERE a = 2); COMMIT`,
      ],
    },
    {
      name: 'REPLICA IDENTITY FULL over types without equality: json, xml, point, and floats to the last digit',
      schema: `CREATE TABLE t (j json, x xml, p point, f float8, g real); ALTER TABLE t REPLICA IDENTITY FULL;
        INSERT INTO t VALUES ('{"a" : 1}', '<a/>', '(1,2)', 0.1, 0.1), ('{"a":1}', '<a />', '(1,2.0)', 0.30000000000000004, 'NaN'), (NULL, NULL, NULL, '-0', 'Infinity')`,
      following: [
        `UPDATE t SET j = '[ 1 ]' WHERE f = 0.1`,
        'DELETE FROM t WHERE f = 0.30000000000000004',
        `UPDATE t SET f = 1e-308, p = '(0.1,-0)' WHERE j IS NULL`,
      ],
    },
    {
      name: 'REPLICA IDENTITY INDEX: the columns of the index identify, the primary key may change',
      schema: `CREATE TABLE t (id int PRIMARY KEY, code text NOT NULL, v text, large text); CREATE UNIQUE INDEX by_code ON t (code);
        ALTER TABLE t REPLICA IDENTITY USING INDEX by_code; ALTER TABLE t ALTER large SET STORAGE EXTERNAL;
        INSERT INTO t SELECT i, 'c' || i, 'v', ${toasted('i')} FROM generate_series(1, 20) i`,
      following: [
        `UPDATE t SET v = 'new' WHERE id = 1`,
        'UPDATE t SET id = 100 WHERE id = 2',
        `UPDATE t SET code = 'other' WHERE id = 3`,
        'BEGIN; UPDATE t SET id = 0 WHERE id = 4; UPDATE t SET id = 4 WHERE id = 5; UPDATE t SET id = 5 WHERE id = 0; COMMIT',
        'DELETE FROM t WHERE id = 6',
      ],
    },
    {
      name: 'REPLICA IDENTITY NOTHING and tables without a key: rows that are only added arrive',
      schema: `CREATE TABLE nothing (a int); ALTER TABLE nothing REPLICA IDENTITY NOTHING; CREATE TABLE keyless (a int);
        CREATE TABLE keyed_nothing (a int PRIMARY KEY); ALTER TABLE keyed_nothing REPLICA IDENTITY NOTHING;
        INSERT INTO nothing VALUES (1); INSERT INTO keyless VALUES (1); INSERT INTO keyed_nothing VALUES (1)`,
      duringLoad: ['INSERT INTO nothing VALUES (2)', 'INSERT INTO keyless VALUES (2)'],
      following: [
        'INSERT INTO nothing VALUES (3), (3)',
        'INSERT INTO keyless SELECT i FROM generate_series(1, 100) i',
        'INSERT INTO keyed_nothing VALUES (2)',
        'BEGIN; INSERT INTO keyless VALUES (4); SAVEPOINT s; INSERT INTO keyless VALUES (5); ROLLBACK TO s; COMMIT',
      ],
    },
    {
      name: 'a deferrable primary key under REPLICA IDENTITY FULL: keys swapped in one transaction',
      schema: `CREATE TABLE t (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, v text); ALTER TABLE t REPLICA IDENTITY FULL;
        INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three')`,
      following: [
        'BEGIN; UPDATE t SET id = 2 WHERE id = 1; UPDATE t SET id = 1 WHERE v = $$two$$; COMMIT',
        `BEGIN; INSERT INTO t VALUES (3, 'again'); DELETE FROM t WHERE v = 'three'; COMMIT`,
      ],
    },
    {
      name: 'unique swaps inside one transaction, in one statement and over several',
      schema: `CREATE TABLE t (id int PRIMARY KEY, code text UNIQUE DEFERRABLE, n int); CREATE TABLE plain (id int PRIMARY KEY, code text UNIQUE);
        CREATE TABLE partial (id int PRIMARY KEY, main bool); CREATE UNIQUE INDEX ON partial ((1)) WHERE main;
        INSERT INTO t SELECT i, 'c' || i, 0 FROM generate_series(1, 10) i; INSERT INTO plain SELECT i, 'c' || i FROM generate_series(1, 10) i; INSERT INTO partial VALUES (1, true), (2, false)`,
      following: [
        `UPDATE t SET code = 'c' || (11 - id)`,
        `BEGIN; SET CONSTRAINTS ALL DEFERRED; UPDATE t SET code = 'x' WHERE id = 1; UPDATE t SET code = 'y' WHERE id = 2; UPDATE t SET code = 'x' WHERE id = 2; UPDATE t SET code = 'y' WHERE id = 1; COMMIT`,
        `BEGIN; UPDATE plain SET code = 'tmp' WHERE id = 1; UPDATE plain SET code = 'c1' WHERE id = 2; UPDATE plain SET code = 'c2' WHERE id = 1; COMMIT`,
        `BEGIN; DELETE FROM plain WHERE id = 3; INSERT INTO plain VALUES (33, 'c3'); UPDATE plain SET code = 'c4x' WHERE id = 4; INSERT INTO plain VALUES (44, 'c4'); COMMIT`,
        'BEGIN; UPDATE partial SET main = false WHERE id = 1; UPDATE partial SET main = true WHERE id = 2; COMMIT',
      ],
    },
    {
      name: 'exclusion constraints: ranges handed over inside one transaction',
      schema: `CREATE TABLE t (id int PRIMARY KEY, during int4range, EXCLUDE USING gist (during WITH &&));
        INSERT INTO t VALUES (1, '[1,10)'), (2, '[10,20)'), (3, '[20,30)')`,
      following: [
        `BEGIN; UPDATE t SET during = '[100,110)' WHERE id = 1; UPDATE t SET during = '[1,10)' WHERE id = 2; UPDATE t SET during = '[10,20)' WHERE id = 1; COMMIT`,
        `BEGIN; DELETE FROM t WHERE id = 3; INSERT INTO t VALUES (4, '[20,30)'); COMMIT`,
      ],
    },
    {
      name: 'GENERATED ALWAYS identity: inserted as on the source, never set by an UPDATE',
      schema: `CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text);
        CREATE TABLE other (id int PRIMARY KEY, no bigint GENERATED ALWAYS AS IDENTITY UNIQUE, v text);
        CREATE TABLE keyless (no bigint GENERATED ALWAYS AS IDENTITY, v text); ALTER TABLE keyless REPLICA IDENTITY FULL;
        INSERT INTO t (v) VALUES ('a'), ('b'); INSERT INTO other VALUES (1, DEFAULT, 'a'); INSERT INTO keyless (v) VALUES ('a'), ('b')`,
      following: [
        `INSERT INTO t (v) VALUES ('c')`,
        `INSERT INTO t OVERRIDING SYSTEM VALUE VALUES (1000, 'd')`,
        `UPDATE t SET v = v || '!'`,
        `UPDATE other SET v = 'b'`,
        `BEGIN; INSERT INTO other (id, v) VALUES (2, 'x'); UPDATE other SET v = 'y' WHERE id = 2; COMMIT`,
        `UPDATE keyless SET v = 'z' WHERE v = 'a'`,
        'UPDATE keyless SET no = DEFAULT',
        `UPDATE other SET no = DEFAULT, v = v || '!' WHERE id = 2`,
        'UPDATE other SET no = DEFAULT WHERE id = 1',
      ],
    },
    {
      name: 'generated columns are computed on the target, also where they are part of the key',
      schema: `CREATE TABLE t (id int PRIMARY KEY, a int, b int GENERATED ALWAYS AS (a * 2) STORED);
        CREATE TABLE keyed (a text NOT NULL, low text GENERATED ALWAYS AS (lower(a)) STORED PRIMARY KEY, v int); ALTER TABLE keyed REPLICA IDENTITY FULL;
        CREATE TABLE keyless (a int, b int GENERATED ALWAYS AS (a + 1) STORED); ALTER TABLE keyless REPLICA IDENTITY FULL;
        INSERT INTO t VALUES (1, 1), (2, NULL); INSERT INTO keyed (a, v) VALUES ('Ab', 1), ('Cd', 2); INSERT INTO keyless VALUES (1), (1), (2)`,
      following: [
        'UPDATE t SET a = 5 WHERE id = 1',
        'INSERT INTO t VALUES (3, 3)',
        `UPDATE keyed SET v = 9 WHERE a = 'Ab'`,
        `UPDATE keyed SET a = 'Xy' WHERE a = 'Cd'`,
        'UPDATE keyless SET a = 7 WHERE ctid = (SELECT min(ctid) FROM keyless WHERE a = 1)',
        'DELETE FROM keyless WHERE a = 2',
      ],
      expected: async ({ target }) => {
        const { rows } = await target.query('SELECT b FROM t WHERE id = 1')
        expect(rows).toEqual([{ b: 10 }])
      },
    },
  ],
})
