/**
 * Goal: a comparison reads a standby of the source, at the position at which the target stands, while payments go on.
 * Method: a standby that streams from the source, under a writer whose rows must add up in every snapshot.
 */
import { pollUntil } from '@replatform/testkit/poll-until'
import { startPostgresql } from '@replatform/testkit/postgresql-server'
import { startStandby } from '@replatform/testkit/postgresql-standby'
import pg from 'pg'
import { expect, test } from 'vitest'
import { waitForReplica } from './replica-snapshot.ts'
import { openSession } from './session.ts'
import { StrainMeter } from './strain.ts'
import { FollowedMove } from './test-fixtures/followed-move.ts'

const session = (url: string) =>
  openSession({ endpoint: { kind: 'postgresql', url }, side: 'source', move: 'bank', role: 'test' })

test.each([13, 15] as const)('compares by a standby of PostgreSQL %d', { timeout: 180_000 }, async (major) => {
  await using source = await startPostgresql({ major })
  await using target = await startPostgresql({ major: 17 })
  for (const server of [source, target]) await server.createDatabase('bank')
  await source.query(
    `CREATE TABLE accounts (id int PRIMARY KEY, balance bigint); INSERT INTO accounts SELECT i, 100 FROM generate_series(1, 20000) i`,
    'bank',
  )
  await using standby = await startStandby(source)
  const replica = standby.url('bank')
  const open = { source: { kind: 'postgresql' as const, url: source.url('bank'), replica } }
  await using move = new FollowedMove({ name: 'bank', source, target, open })
  await move.load()
  move.follow()
  await move.level()

  const writer = new pg.Client({ connectionString: source.url('bank') })
  await writer.connect()
  let isOver = false
  const writing = (async () => {
    for (let i = 0; !isOver; i++) {
      await writer.query('UPDATE accounts SET balance = balance + $1 WHERE id IN ($2, $3)', [
        i,
        1 + (i % 20_000),
        1 + ((i * 7) % 20_000),
      ])
    }
  })()
  try {
    for (let round = 0; round < 5; round++) {
      let readers = 0
      const report = await move.mover.compare({
        scope: 'all',
        at: 'live',
        report: () => {
          readers++
        },
      })
      expect(report).toMatchObject({ equal: true, results: [{ name: 'public.accounts', matching: 20_000 }] })
      expect(readers).toBeGreaterThan(0)
    }
  } finally {
    isOver = true
    await writing
    await writer.end()
  }
  const [scans] = await standby.query(
    `SELECT sum(seq_scan + coalesce(idx_scan, 0))::int AS n FROM pg_stat_user_tables WHERE relname = 'accounts'`,
    'bank',
  )
  expect(scans?.n).toBeGreaterThan(0)
  expect(await standby.query('SELECT pg_is_wal_replay_paused() AS paused')).toEqual([{ paused: false }])

  const meter = new StrainMeter()
  const lookout = await session(source.url('bank'))
  expect((await meter.read(lookout, lookout)).replicaLagMs).toBeLessThan(60_000)

  // A replica that stands still is named with how far it is behind.
  await standby.query('SELECT pg_wal_replay_pause()')
  await source.query('UPDATE accounts SET balance = 0', 'bank')
  const options = { replica: await session(replica), source: await session(source.url('bank')), name: 'the replica' }
  await expect(waitForReplica(options, 500)).rejects.toMatchObject({
    code: 'postgresql.replica-lagging',
    message: expect.stringMatching(/[0-9]+ bytes behind/),
  })
  await pollUntil('the lag is measured', async () => ((await meter.read(lookout, lookout)).replicaLagMs ?? 0) > 500)
  await standby.query('SELECT pg_wal_replay_resume()')
  await pollUntil('it is level again', async () => (await meter.read(lookout, lookout)).replicaLagMs === 0)
  await lookout.end()
  await waitForReplica(options)
  await options.replica.end()
  await options.source.end()

  await standby.query('SELECT pg_promote()')
  await pollUntil('the standby is promoted', async () => {
    const [row] = await standby.query('SELECT pg_is_in_recovery() AS standby')
    return row?.standby === false
  })
  await expect(move.compare()).rejects.toMatchObject({
    code: 'postgresql.replica-unusable',
    message: expect.stringContaining('promoted'),
  })
  await move.level()
})
