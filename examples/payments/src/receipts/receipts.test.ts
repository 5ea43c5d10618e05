/**
 * Goal: every payment has its receipt, whole and once; what a copy of the share could damage is found.
 * Method: an inbox as the consumers leave it, written to a folder; each test damages a copy of the folder.
 */
import { appendFile, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { createConsumers } from '../events/consumers-setup.ts'
import { startTestDatabase, type TestDatabase } from '../test-database.ts'
import { createLedger, query } from '../test-wallet.ts'
import { judgeReceipts, type ReceiptsCorruption } from './judge-receipts.ts'
import { ReceiptShare } from './receipt-share.ts'
import { ReceiptWriter } from './receipt-writer.ts'
import { createReceiptsServer } from './receipts-server.ts'

let database: TestDatabase
let consumersUrl: string
let folder: string
let share: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'receipts-'))
  share = join(folder, 'share')
  database = await startTestDatabase(17)
  await createLedger(database, 'wallet', { accounts: 20 })
  await query(database.url('postgres'), 'CREATE DATABASE consumers')
  consumersUrl = database.url('postgres', 'consumers')
  await createConsumers(consumersUrl, database.url('wallet', 'wallet'))
  await take(120)
  await writeAll()
})
afterAll(async () => {
  await database[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

async function take(count: number): Promise<void> {
  const ledgerUrl = database.url('wallet', 'wallet')
  const [before] = await query<{ id: string }>(ledgerUrl, 'SELECT max(id) AS id FROM ledger.outbox')
  const pays = `SELECT ledger.pay('receipt-' || n || '-' || clock_timestamp(), '\\x', 'transfer', 1001 + n % 5, 1010, 1234)
                  FROM generate_series(1, ${count}) n`
  await query(ledgerUrl, pays)
  const events = await query<{ e: object }>(
    ledgerUrl,
    `SELECT jsonb_build_object('event', id::text, 'topic', topic, 'subject', subject, 'payload', payload) AS e
       FROM ledger.outbox WHERE id > $1 ORDER BY id`,
    [before?.id],
  )
  const all = JSON.stringify(events.map(({ e }) => e))
  await query(consumersUrl, `SELECT consumers.take_all('notification', $1)`, [all])
}

/** Runs a writer until nothing is missing. */
async function writeAll(): Promise<void> {
  const stop = new AbortController()
  const onFailure = () => undefined
  const writing = new ReceiptWriter({ consumersUrl, share: new ReceiptShare(share), onFailure }).run(stop.signal)
  await vi.waitUntil(async () => Object.keys(await found(share)).length === 0, { timeout: 20_000, interval: 100 })
  stop.abort()
  await writing
}

async function found(root: string): Promise<Partial<Record<ReceiptsCorruption, number>>> {
  const verdict = await judgeReceipts({ share: root, consumersUrl, freshnessMs: 0 })
  return Object.fromEntries(Object.entries(verdict.found).filter(([, count]) => count > 0))
}

/** What is found in a copy of the share that was damaged. */
async function foundWith(damage: (root: string, files: Files) => Promise<unknown>) {
  const root = await mkdtemp(join(folder, 'copy-'))
  await cp(share, root, { recursive: true })
  const manifest = join(root, await manifestName())
  const lines = (await readFile(manifest, 'utf8')).trimEnd().split('\n')
  const receipt = (JSON.parse(lines[7] ?? '') as { file: string }).file
  await damage(root, { receipt: join(root, receipt), manifest, lines })
  return await found(root)
}

interface Files {
  readonly receipt: string
  readonly manifest: string
  readonly lines: readonly string[]
}

async function manifestName(): Promise<string> {
  return `manifest-${new Date().toISOString().slice(0, 7)}.jsonl`
}

test('every payment has its receipt, and it can be read', async () => {
  expect(await found(share)).toEqual({})
  const app = createReceiptsServer(new ReceiptShare(share))
  const [{ transfer } = { transfer: '' }] = await query<{ transfer: string }>(
    consumersUrl,
    `SELECT payload ->> 'transfer' AS transfer FROM consumers.inbox LIMIT 1`,
  )
  const answer = await app.inject(`/v1/receipts/${transfer}`)
  expect(answer.statusCode).toBe(200)
  expect(answer.body).toContain(`Số: ${transfer}\n`)
  expect(answer.body).toContain('Số tiền: 1.234 ₫')
  expect((await app.inject('/v1/receipts/999999')).statusCode).toBe(404)
  expect((await app.inject('/health/ready')).statusCode).toBe(200)
  await app.close()
})

test('a writer that died goes on where the manifest ends, in whatever state it left the share', async () => {
  await take(10)
  await appendFile(join(share, await manifestName()), '{"file":"to')
  await mkdir(join(share, '00'), { recursive: true })
  await writeFile(join(share, '00', '1.txt.part'), 'half a rec')
  await writeAll()
  expect(await found(share)).toEqual({})
})

describe('the judge finds', () => {
  test('a receipt that is lost', async () => {
    expect(await foundWith((_, { receipt }) => rm(receipt))).toEqual({ lost: 1 })
  })
  test('a receipt that is cut off or altered', async () => {
    expect(await foundWith((_, { receipt }) => writeFile(receipt, 'BIÊN LAI\n'))).toEqual({ altered: 1 })
  })
  test('a receipt that is there a second time under another name', async () => {
    const found = await foundWith((root, { receipt }) => cp(receipt, join(root, '07', '99999907.txt')))
    expect(found).toEqual({ unasked: 1 })
  })
  test('a manifest in which a line is missing, doubled, altered or elsewhere', async () => {
    const rewritten = async (change: (lines: string[]) => string[]) =>
      await foundWith((_, { manifest, lines }) => writeFile(manifest, `${change([...lines]).join('\n')}\n`))
    expect(await rewritten((lines) => lines.toSpliced(7, 1))).toEqual({ manifestMissing: 1 })
    expect(await rewritten((lines) => lines.toSpliced(7, 0, lines[7] ?? ''))).toEqual({ manifestDoubled: 1 })
    const wrong = (line = '') => line.replace(/"sha256":"../, '"sha256":"zz')
    expect(await rewritten((lines) => lines.with(7, wrong(lines[7])))).toEqual({ manifestWrong: 1 })
    expect(await rewritten((lines) => lines.with(7, lines[8] ?? '').with(8, lines[7] ?? ''))).toEqual({
      manifestReordered: 1,
    })
  })
})
