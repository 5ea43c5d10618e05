/**
 * Goal: each transaction arrives once, whole, in the order of the commits, whatever its shape.
 * Method: see `pitfall-suite.ts`; sessions that interleave, stay open, are prepared, nest, or write very much at once.
 */
import { expect } from 'vitest'
import { testPitfalls } from '../test-fixtures/pitfall-suite.ts'

/** Rows of a large transaction here; the soak takes ten million. */
const manyRows = 200_000

testPitfalls({
  on: [
    { source: 13, target: 17 },
    { source: 15, target: 18 },
  ],
  pitfalls: () => [
    {
      name: 'transactions that begin in one order and commit in another',
      schema:
        'CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE log (n int); INSERT INTO t SELECT i, NULL FROM generate_series(1, 10) i',
      following: async (connect) => {
        const [a, b, c] = [await connect(), await connect(), await connect()]
        for (const client of [a, b, c]) await client.query('BEGIN')
        await a.query(`UPDATE t SET v = 'a' WHERE id = 1; INSERT INTO log VALUES (1)`)
        await b.query(`UPDATE t SET v = 'b' WHERE id = 2; INSERT INTO log VALUES (2)`)
        await c.query(`UPDATE t SET v = 'c' WHERE id = 3; INSERT INTO log VALUES (3)`)
        await c.query('COMMIT')
        await b.query(`UPDATE t SET v = v || 'b' WHERE id = 3; COMMIT`)
        await a.query(`UPDATE t SET v = v || 'a' WHERE id IN (2, 3); COMMIT`)
      },
      expected: async ({ target }) => {
        const { rows } = await target.query('SELECT v FROM t WHERE v IS NOT NULL ORDER BY id')
        expect(rows.map((row) => row.v)).toEqual(['a', 'ba', 'cba'])
      },
    },
    {
      name: 'a transaction that is open across the end of the copy, and one that began to read before its snapshot',
      schema:
        'CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, $$old$$ FROM generate_series(1, 1000) i',
      duringLoad: async (connect) => {
        const client = await connect()
        await client.query(
          `BEGIN; UPDATE t SET v = 'new' WHERE id % 2 = 0; INSERT INTO t VALUES (5000, 'x'); SAVEPOINT s; DELETE FROM t WHERE id = 7; ROLLBACK TO s; DELETE FROM t WHERE id = 9; COMMIT`,
        )
      },
      following: ['UPDATE t SET v = v || $$!$$ WHERE id > 500'],
    },
    {
      name: 'prepared transactions: committed later, rolled back, and across a change of the same rows',
      schema:
        'CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, $$v$$ FROM generate_series(1, 10) i',
      following: [
        `BEGIN; UPDATE t SET v = 'prepared' WHERE id = 1; INSERT INTO t VALUES (100, 'p'); PREPARE TRANSACTION 'pitfall one'`,
        `BEGIN; DELETE FROM t WHERE id = 2; PREPARE TRANSACTION 'pitfall two'`,
        `UPDATE t SET v = 'between' WHERE id = 3`,
        `ROLLBACK PREPARED 'pitfall two'`,
        `COMMIT PREPARED 'pitfall one'`,
        `UPDATE t SET v = 'after' WHERE id = 1`,
      ],
    },
    {
      name: 'subtransactions: nested, rolled back in part, more than a server keeps in memory',
      schema: 'CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 0)',
      following: [
        'BEGIN; SAVEPOINT a; INSERT INTO t VALUES (2, 0); SAVEPOINT b; UPDATE t SET v = 1 WHERE id = 2; ROLLBACK TO b; UPDATE t SET v = 2 WHERE id = 1; RELEASE a; COMMIT',
        'BEGIN; SAVEPOINT a; DELETE FROM t; ROLLBACK TO a; INSERT INTO t VALUES (3, 3); COMMIT',
        `DO $$ BEGIN FOR i IN 10..400 LOOP BEGIN INSERT INTO t VALUES (i, i); IF i % 3 = 0 THEN RAISE division_by_zero; END IF; EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $$`,
        'BEGIN; INSERT INTO t VALUES (1000, 1); ROLLBACK',
      ],
    },
    {
      name: 'transactions that leave nothing behind, or only things that no stream carries',
      schema: 'CREATE TABLE t (id int PRIMARY KEY, v int); CREATE SEQUENCE s',
      following: [
        'BEGIN; INSERT INTO t VALUES (1, 1); DELETE FROM t WHERE id = 1; COMMIT',
        `SELECT nextval('s')`,
        'CREATE TEMP TABLE x AS SELECT 1 AS a',
        'SELECT txid_current()',
        `SELECT pg_logical_emit_message(true, 'other', 'message')`,
        'INSERT INTO t VALUES (2, 2)',
      ],
    },
    {
      name: `a transaction of ${manyRows} rows that are written, changed and in part removed again`,
      schema:
        'CREATE TABLE t (id int PRIMARY KEY, code text UNIQUE, v text); CREATE TABLE plain (id int PRIMARY KEY, v text)',
      following: [
        `BEGIN; INSERT INTO plain SELECT i, repeat('x', 100) FROM generate_series(1, ${manyRows}) i; UPDATE plain SET v = 'y' WHERE id % 2 = 0; DELETE FROM plain WHERE id % 5 = 0;
         INSERT INTO t SELECT i, 'c' || i, 'v' FROM generate_series(1, 20000) i; UPDATE t SET code = 'd' || id WHERE id < 1000; COMMIT`,
        `BEGIN; UPDATE plain SET v = 'rolled back'; ROLLBACK`,
      ],
    },
    {
      name: 'hundreds of small transactions between which the stream may be cut at any place',
      schema:
        'CREATE TABLE t (id int PRIMARY KEY, n int); CREATE TABLE log (n int); INSERT INTO t SELECT i, 0 FROM generate_series(1, 20) i',
      following: async (connect) => {
        const clients = [await connect(), await connect(), await connect()]
        const work = clients.map(async (client, c) => {
          for (let i = 0; i < 150; i++) {
            await client.query(
              `BEGIN; UPDATE t SET n = n + 1 WHERE id = ${1 + ((i * 7 + c) % 20)}; INSERT INTO log VALUES (${i}); COMMIT`,
            )
          }
        })
        await Promise.all(work)
      },
      expected: async ({ target }) => {
        const { rows } = await target.query(
          'SELECT (SELECT sum(n)::int FROM t) AS sum, (SELECT count(*)::int FROM log) AS count',
        )
        expect(rows).toEqual([{ sum: 450, count: 450 }])
      },
    },
  ],
})
