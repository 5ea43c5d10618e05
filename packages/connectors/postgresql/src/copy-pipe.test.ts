/**
 * Goal: what COPY sends arrives as it was, whatever its size; a failure of either side is its own error and leaves
 * nothing behind.
 */
import { type PostgresqlServer, startPostgresql } from '@replatform/testkit/postgresql-server'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { pipeCopy } from './copy-pipe.ts'
import { openSession } from './session.ts'

let server: PostgresqlServer
let encrypted: PostgresqlServer
const never = new AbortController().signal

beforeAll(async () => {
  server = await startPostgresql({ major: 17 })
  encrypted = await startPostgresql({ major: 17, tls: true })
  for (const each of [server, encrypted]) await fill(each)
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
  await encrypted[Symbol.asyncDispose]()
})

async function fill(each: PostgresqlServer) {
  await each.query(`CREATE TABLE a AS SELECT i AS id, repeat(md5(i::text), i % 200) AS t FROM generate_series(1, 20000) i;
    INSERT INTO a VALUES (0, repeat('z', 5000000)), (-1, NULL); CREATE TABLE b (LIKE a); CREATE TABLE c (id int CHECK (id < 100), t text)`)
}

async function pair(of = server) {
  const endpoint = { kind: 'postgresql', url: of.url() } as const
  const open = () => openSession({ endpoint, side: 'source', move: 'test', role: 'test' })
  return { source: await open(), target: await open() }
}

test.each([
  ['binary', 'in the clear'],
  ['text', 'by TLS'],
])('%s, %s: every row arrives, and both sessions can be used again', async (format, way) => {
  const { source, target } = await pair(way === 'by TLS' ? encrypted : server)
  for (let round = 0; round < 2; round++) {
    await target.query('TRUNCATE public.b')
    const read = `COPY (SELECT * FROM public.a) TO STDOUT (FORMAT ${format})`
    const write = `COPY public.b FROM STDIN (FORMAT ${format})`
    expect(await pipeCopy({ source, read, target, write, signal: never })).toMatchObject({ rows: 20_002 })
  }
  const { rows } = await source.query('SELECT count(*) AS n FROM (TABLE public.a EXCEPT ALL TABLE public.b) x')
  expect(rows).toEqual([{ n: '0' }])
  await Promise.all([source.end(), target.end()])
})

test('an empty table is a copy of no rows', async () => {
  const { source, target } = await pair()
  const copied = await pipeCopy({
    source,
    read: 'COPY (SELECT * FROM public.a WHERE false) TO STDOUT (FORMAT binary)',
    target,
    write: 'COPY public.b FROM STDIN (FORMAT binary)',
    signal: never,
  })
  expect(copied.rows).toBe(0)
  await Promise.all([source.end(), target.end()])
})

const failures = [
  {
    what: 'the source fails in the middle',
    read: 'COPY (SELECT 1 / (5000 - id), t FROM public.a WHERE id > 0) TO STDOUT',
    write: 'COPY public.b FROM STDIN',
    code: '22012',
  },
  {
    what: 'the target refuses a row',
    read: 'COPY (SELECT * FROM public.a WHERE id > 0) TO STDOUT',
    write: 'COPY public.c FROM STDIN',
    code: '23514',
  },
  {
    what: 'the target has no such table',
    read: 'COPY public.a TO STDOUT',
    write: 'COPY public.nothing FROM STDIN',
    code: '42P01',
  },
]

test.each(failures)('$what', async ({ read, write, code }) => {
  const { source, target } = await pair()
  await expect(pipeCopy({ source, read, target, write, signal: never })).rejects.toMatchObject({ code })
  for (const session of [source, target])
    (session as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy()
})

test('a signal ends it', async () => {
  const { source, target } = await pair()
  const abort = new AbortController()
  const piped = pipeCopy({
    source,
    read: 'COPY (SELECT i, pg_sleep(0.01) FROM generate_series(1, 100000) i) TO STDOUT',
    target,
    write: 'COPY public.b FROM STDIN',
    signal: abort.signal,
  })
  abort.abort(new Error('stopped'))
  await expect(piped).rejects.toThrow()
})
