/** Goal: no entry of the audit log is changed, lost or moved unseen. Method: a real database that is tampered with. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { AuditAnchor } from './audit-anchor.ts'
import { hashOf } from './audit-chain.ts'
import { AuditLog } from './audit-log.ts'
import { type ControlDatabase, openEmbeddedDatabase } from './control-database.ts'
import { withOrigin } from './request-origin.ts'

const estate = 'test'
const silent = { info: () => {}, warn: () => {}, error: () => {} }
const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString()

let folder: string
let database: ControlDatabase
let audit: AuditLog

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'audit-'))
  database = await openEmbeddedDatabase(join(folder, 'control'))
})
afterAll(async () => {
  await database[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

beforeEach(async () => {
  await database.query('DELETE FROM replatform_control.audit')
  await rm(join(folder, 'head.json'), { force: true })
  audit = new AuditLog({ database, estate, anchor: new AuditAnchor(join(folder, 'head.json')), log: silent })
  const verbs = ['start', 'compare', 'approve', 'cutover', 'rollback']
  await withOrigin('192.0.2.7', () =>
    Promise.all(
      verbs.map((verb, i) =>
        audit.append({ at: at(i), actor: 'linh@ops', verb, move: 'a', outcome: 'asked', detail: 'why' }),
      ),
    ),
  )
})

const set = (assignment: string, number: number) =>
  database.query(`UPDATE replatform_control.audit SET ${assignment} WHERE number = $1`, [number])
const drop = (number: number) => database.query('DELETE FROM replatform_control.audit WHERE number = $1', [number])

test('a log that nobody touched is whole, and says from where each entry came', async () => {
  const verification = await audit.verify()
  expect(verification).toMatchObject({ intact: true, entries: 5, unchained: 0, problems: [] })
  expect(verification.head).toEqual(verification.anchor)
  const [first] = await audit.list()
  expect(first).toMatchObject({ verb: 'start', actor: 'linh@ops', origin: '192.0.2.7', detail: 'why' })
})

test.each([
  ["actor = 'mallory'", 2],
  ["detail = ''", 5],
  ["at = at - interval '1 ms'", 1],
  ["origin = 'local socket'", 3],
  ["outcome = 'refused'", 4],
])('a changed entry is found: %s', async (assignment, number) => {
  await set(assignment, number)
  const { intact, problems } = await audit.verify()
  expect(intact).toBe(false)
  expect(problems[0]).toMatchObject({ kind: 'changed', number })
})

test.each([1, 3, 5])('entry %i that was taken out is missed, the last one by its flushed hash', async (number) => {
  await drop(number)
  expect((await audit.verify()).problems[0]).toMatchObject({ kind: 'missing', number })
})

test('a log that was emptied is missed as a whole', async () => {
  await database.query('DELETE FROM replatform_control.audit')
  expect((await audit.verify()).problems).toMatchObject([{ kind: 'missing', number: 1 }])
})

test('entries that changed places are found', async () => {
  await set('number = 99', 2)
  await set('number = 2', 3)
  await set('number = 3', 99)
  const { problems } = await audit.verify()
  expect(problems.slice(0, 2)).toMatchObject([
    { kind: 'reordered', number: 2, detail: 'Entry 3 stands at 2.' },
    { kind: 'reordered', number: 3, detail: 'Entry 2 stands at 3.' },
  ])
})

test('a chain that was made anew from a changed entry on is told by the flushed hash', async () => {
  const rows = await database.query<{ number: number; previous: string; at: Date }>(
    'SELECT * FROM replatform_control.audit ORDER BY number',
  )
  let previous = rows[0]?.previous ?? ''
  for (const row of rows) {
    const entry = { ...row, number: Number(row.number), at: row.at.toISOString(), actor: 'mallory', previous }
    const hash = hashOf(estate, entry as never)
    await set(`actor = 'mallory', previous = '${previous}', hash = '${hash}'`, entry.number)
    previous = hash
  }
  expect((await audit.verify()).problems).toMatchObject([{ kind: 'changed', number: 5 }])
})

test('an end that was cut off stays to be seen when the log goes on', async () => {
  await drop(5)
  await audit.append({ at: at(9), actor: 'linh@ops', verb: 'pause', move: 'a', outcome: 'asked', detail: '' })
  const { entries, problems } = await audit.verify()
  expect(entries).toBe(5)
  expect(problems).toMatchObject([{ kind: 'missing', number: 5 }])
})
