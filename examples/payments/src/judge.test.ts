/**
 * Goal: every corruption that a move could cause is found, by its name and nothing else's.
 * Method: one short load gives a ledger and its journal; each test clones the ledger, damages the clone as a bad move
 * would (past constraints and triggers), and holds the whole set of counts against what that damage must show.
 */
import { appendFileSync, copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type AskLine, type JournalLine, JournalWriter } from './journal.ts'
import { type Baseline, judge, recordBaseline } from './judge.ts'
import { LoadGenerator } from './load-generator.ts'
import { startTestDatabase, type TestDatabase } from './test-database.ts'
import { createLedger, query, startWallet } from './test-wallet.ts'
import { type Corruption, corruptions, type Verdict } from './verdict.ts'
import { WalletClient } from './wallet-client.ts'

const directory = mkdtempSync(join(tmpdir(), 'judge-test-'))
const journal = join(directory, 'load.journal')
let database: TestDatabase
let baseline: Baseline
let clones = 0

beforeAll(async () => {
  database = await startTestDatabase(17)
  await createLedger(database, 'wallet', { accounts: 40, historyRows: 500 })
  baseline = await recordBaseline(database.url('wallet', 'wallet'))
  await using wallet = await startWallet(database.url('wallet', 'wallet'))
  // A load of a quiet machine may have let every hold go when it ends; the tests want one that is open.
  for (let seed = 7; (await openHolds()) === 0; seed++) await payForAWhile(wallet.url, seed)
}, 180_000)
afterAll(async () => {
  await database[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true })
})

/** Until every kind of payment and a refusal are in the journal. */
async function payForAWhile(url: string, seed: number): Promise<void> {
  const writer = new JournalWriter(journal)
  using client = new WalletClient({ url, timeoutMs: 30_000, attempts: 3 })
  const generator = new LoadGenerator({ rate: 150, seed, accounts: 40, client, journal: writer })
  const stop = new AbortController()
  const running = generator.run(stop.signal)
  const wanted = ['"kind":"capture"', '"kind":"release"', '"kind":"top-up"', '"outcome":"refused"']
  while (!wanted.every((text) => readFileSync(journal, 'utf8').includes(text)) || generator.statistics.sent < 300) {
    await delay(20)
  }
  stop.abort()
  await running
  await generator.settle(60_000)
  writer.close()
}

async function openHolds(): Promise<number> {
  const held = await query(database.url('postgres', 'wallet'), `SELECT id FROM ledger.holds WHERE state = 'held'`)
  return held.length
}

/** Clones the ledger, damages the clone, and gives its address. */
async function damaged(sql: string): Promise<string> {
  const name = `clone_${++clones}`
  await query(database.url('postgres'), `CREATE DATABASE ${name} TEMPLATE wallet`)
  const url = database.url('postgres', name)
  await query(url, `SET session_replication_role = replica; ${sql}`)
  return url
}

function counts(verdict: Verdict): Partial<Record<Corruption, number>> {
  const names = Object.keys(corruptions) as Corruption[]
  return Object.fromEntries(names.filter((name) => verdict[name] > 0).map((name) => [name, verdict[name]]))
}

async function judged(url: string, options: { otherUrl?: string; journals?: string[] } = {}): Promise<Verdict> {
  return await judge({ journals: [journal], url, baseline, ...options })
}

/** The last payment of the load; nothing was booked on its accounts afterwards. */
const lastTransfer = `SELECT max(id) FROM ledger.transfers WHERE kind = 'transfer' AND reference NOT LIKE 'seed:%'`
const someTransfer = `SELECT min(id) FROM ledger.transfers WHERE kind = 'transfer' AND reference NOT LIKE 'seed:%'`

/** Takes a payment back as if its transaction had never come over, and it had been the last of its accounts. */
const undo = (id: string) => `
  CREATE TEMP TABLE gone AS SELECT * FROM ledger.transfers WHERE id = (${id});
  CREATE TEMP TABLE accounts_of AS SELECT DISTINCT account_id FROM ledger.entries JOIN gone ON transfer_id = gone.id;
  DELETE FROM ledger.entries e USING accounts_of a WHERE e.account_id = a.account_id AND e.seq >=
    (SELECT seq FROM ledger.entries x JOIN gone ON transfer_id = gone.id WHERE x.account_id = a.account_id);
  DELETE FROM ledger.transfers WHERE id = (SELECT id FROM gone);
  DELETE FROM ledger.idempotency WHERE key = (SELECT reference FROM gone);
  UPDATE ledger.accounts a SET balance = e.balance_after, entry_count = e.seq, chain = e.chain
    FROM (SELECT DISTINCT ON (account_id) * FROM ledger.entries ORDER BY account_id, seq DESC) e
   WHERE e.account_id = a.id`

describe('the verdict', () => {
  test('is clean for a ledger that nobody has touched', async () => {
    const verdict = await judged(await damaged('SELECT 1'))
    expect(counts(verdict)).toEqual({})
    expect(verdict).toMatchObject({ verdict: 'clean', balanceSum: { expected: '0', actual: '0' }, unknown: 0 })
    expect(verdict.payments).toBe(verdict.success + verdict.refused)
    expect(verdict.success).toBeGreaterThan(200)
    expect(verdict.refused).toBeGreaterThan(0)
  })
})

describe('the judge finds', () => {
  test('a transfer whose row is lost', async () => {
    const verdict = await judged(await damaged(`DELETE FROM ledger.transfers WHERE id = (${lastTransfer})`))
    expect(counts(verdict)).toEqual({ lost: 1, misbooked: 1 })
    expect(verdict.verdict).toBe('lost')
    expect(verdict.samples.lost?.[0]).toMatch(/^[0-9a-f]{8}-\d{9}$/)
  })

  test('a payment that is lost with every trace of it', async () => {
    const url = await damaged(undo(await quietTransfer()))
    expect(counts(await judged(url))).toEqual({ lost: 1 })
  })

  test('a payment that is lost from the middle, while later balances came over', async () => {
    const url = await damaged(`
      DELETE FROM ledger.idempotency WHERE key = (SELECT reference FROM ledger.transfers WHERE id = (${someTransfer}));
      DELETE FROM ledger.entries WHERE transfer_id = (${someTransfer});
      DELETE FROM ledger.transfers WHERE id = (${someTransfer})`)
    expect(counts(await judged(url))).toEqual({ lost: 1, balanceDiffers: 2, chainBroken: 2 })
  })

  test('a payment booked twice under one key', async () => {
    const url = await damaged(`
      ALTER TABLE ledger.transfers DROP CONSTRAINT transfers_reference_key;
      SELECT ledger.post(reference, 'transfer', debit_account, credit_account, amount, null)
        FROM ledger.transfers WHERE id = (${someTransfer})`)
    expect(counts(await judged(url))).toEqual({ doubled: 1 })
  })

  test('a transfer whose entries were booked twice', async () => {
    const url = await damaged(`
      SELECT ledger.append_entry(id, debit_account, -amount), ledger.append_entry(id, credit_account, amount)
        FROM ledger.transfers WHERE id = (${someTransfer})`)
    expect(counts(await judged(url))).toEqual({ doubled: 1 })
  })

  test('an amount that was altered in the transfer', async () => {
    const url = await damaged(`UPDATE ledger.transfers SET amount = amount + 1 WHERE id = (${someTransfer})`)
    expect(counts(await judged(url))).toEqual({ altered: 1, misbooked: 1 })
  })

  test('parties that were exchanged', async () => {
    const url =
      await damaged(`UPDATE ledger.transfers SET debit_account = credit_account, credit_account = debit_account
                                WHERE id = (${someTransfer})`)
    expect(counts(await judged(url))).toEqual({ altered: 1, misbooked: 1 })
  })

  test('a payment that nobody asked for', async () => {
    const url = await damaged(`SELECT ledger.post('nobody-1', 'transfer', 1001, 1002, 5, null)`)
    const verdict = await judged(url)
    expect(counts(verdict)).toEqual({ unasked: 1 })
    expect(verdict.samples.unasked).toEqual(['nobody-1'])
  })

  test('an entry that is gone', async () => {
    const url = await damaged(`DELETE FROM ledger.entries WHERE (account_id, seq) =
      (SELECT account_id, seq FROM ledger.entries WHERE transfer_id = (${someTransfer}) AND amount > 0)`)
    expect(counts(await judged(url))).toEqual({ unbalanced: 1, balanceDiffers: 1, chainBroken: 1 })
  })

  test('two entries altered so that every sum stays right', async () => {
    const url = await damaged(`UPDATE ledger.entries SET amount = -amount WHERE transfer_id = (${someTransfer})`)
    expect(counts(await judged(url))).toEqual({ misbooked: 1, balanceDiffers: 2, chainBroken: 2 })
  })

  test('a balance that was changed', async () => {
    const verdict = await judged(await damaged('UPDATE ledger.accounts SET balance = balance + 1 WHERE id = 1003'))
    expect(counts(verdict)).toEqual({ balanceDiffers: 1 })
    expect(verdict.balanceSum).toEqual({ expected: '0', actual: '1' })
    expect(verdict.samples.balanceDiffers).toEqual(['account:1003'])
  })

  test('a head of a chain that was changed', async () => {
    const url = await damaged(`UPDATE ledger.accounts SET chain = sha256('x') WHERE id = 1003`)
    expect(counts(await judged(url))).toEqual({ chainBroken: 1 })
  })

  test('a refused payment that is booked all the same', async () => {
    const ask = refusedTransfer()
    // Booked exactly as it was asked, so that nothing but the refusal and the missing funds speak against it.
    const url = await damaged(`
      ALTER TABLE ledger.accounts DROP CONSTRAINT customers_do_not_overdraw;
      SELECT ledger.post('${ask.key}', 'transfer', ${ask.from}, ${ask.to}, ${ask.amount}, null)`)
    expect(counts(await judged(url))).toEqual({ refusedButPresent: 1, overdrawn: 1 })
  })

  test('a stored answer that is gone, of a payment and of a refusal', async () => {
    const paid = await keyOf(`SELECT reference AS key FROM ledger.transfers WHERE id = (${someTransfer})`)
    const refused = await keyOf(`SELECT key FROM ledger.idempotency WHERE status = 422 ORDER BY key LIMIT 1`)
    const verdict = await judged(await damaged(`DELETE FROM ledger.idempotency WHERE key IN ('${paid}', '${refused}')`))
    expect(counts(verdict)).toEqual({ answersMissing: 2 })
  })

  test('a stored answer that is another one', async () => {
    const key = await keyOf(`SELECT reference AS key FROM ledger.transfers WHERE id = (${someTransfer})`)
    const url = await damaged(`UPDATE ledger.idempotency SET body = replace(body, ' ', '') WHERE key = '${key}'`)
    expect(counts(await judged(url))).toEqual({ answersDiffer: 1 })
  })

  test('a captured hold that is open again', async () => {
    const url = await damaged(`UPDATE ledger.holds SET state = 'held', closed_at = null
                                WHERE id = (SELECT min(id) FROM ledger.holds WHERE state = 'captured')`)
    expect(counts(await judged(url))).toEqual({ holdsWrong: 1 })
  })

  test('two entries of one account in each other’s place', async () => {
    const url = await damaged(`
      CREATE TEMP TABLE pair AS
        SELECT e.account_id, e.seq, e.transfer_id, e.amount FROM ledger.entries e JOIN ledger.entries n
            ON n.account_id = e.account_id AND n.seq = e.seq + 1 AND n.amount <> e.amount
         ORDER BY e.account_id, e.seq LIMIT 1;
      INSERT INTO pair SELECT e.account_id, e.seq, e.transfer_id, e.amount FROM ledger.entries e JOIN pair p
            ON e.account_id = p.account_id AND e.seq = p.seq + 1;
      UPDATE ledger.entries e SET transfer_id = p.transfer_id, amount = p.amount
        FROM pair p, (SELECT min(seq) + max(seq) AS both FROM pair) s
       WHERE e.account_id = p.account_id AND e.seq = s.both - p.seq`)
    expect(counts(await judged(url))).toEqual({ chainBroken: 1 })
  })

  test('an open hold that is gone, and one that was let go before anybody asked', async () => {
    const gone = `DELETE FROM ledger.holds WHERE id = (SELECT min(id) FROM ledger.holds WHERE state = 'held')`
    expect(counts(await judged(await damaged(gone)))).toEqual({ holdsWrong: 1 })
    const released = `UPDATE ledger.holds SET state = 'released', closed_at = now()
                       WHERE id = (SELECT min(id) FROM ledger.holds WHERE state = 'held')`
    expect(counts(await judged(await damaged(released)))).toEqual({ holdsWrong: 1 })
  })

  test('a refund of more than was paid', async () => {
    const url = await damaged(`
      SELECT ledger.post('m:refund', 'refund', credit_account, debit_account, amount + 1, null, id)
        FROM ledger.transfers WHERE id = (${someTransfer})`)
    expect(counts(await judged(url))).toEqual({ refundsWrong: 1 })
  })

  test('a payment of the past that is altered, though nobody asked for it in the journal', async () => {
    const url = await damaged(`UPDATE ledger.transfers SET reference = reference || 'x'
                                WHERE reference = 'seed:history:000000000007'`)
    expect(counts(await judged(url))).toEqual({ seededDiffer: 1 })
  })
})

describe('payments of unknown outcome', () => {
  const ask = (key: string): AskLine => ({ t: 'ask', key, kind: 'transfer', from: 1001, to: 1002, amount: 5, ms: 1 })

  test('may be there or not, and are counted', async () => {
    const journals = [journal, writeJournal('unknown', [ask('unknown-1'), ask('unknown-2')])]
    const verdict = await judged(await damaged(payUnknown), { journals })
    expect(counts(verdict)).toEqual({})
    expect(verdict).toMatchObject({ verdict: 'clean', unknown: 2, unknownPresent: 1 })
  })

  test('must not be on one side only', async () => {
    const journals = [journal, writeJournal('one-sided', [ask('unknown-1')])]
    const url = await damaged(payUnknown)
    const verdict = await judged(url, { journals, otherUrl: database.url('postgres', 'wallet') })
    expect(counts(verdict)).toEqual({ unknownDiffers: 1, headsDiffer: 2 })
  })

  test('must not be there twice, nor without the answer that keeps a retry from paying again', async () => {
    const journals = [journal, writeJournal('twice', [ask('unknown-1'), ask('unknown-2')])]
    const url = await damaged(`${payUnknown};
      ALTER TABLE ledger.transfers DROP CONSTRAINT transfers_reference_key;
      SELECT ledger.post('unknown-1', 'transfer', 1001, 1002, 5, null),
             ledger.post('unknown-2', 'transfer', 1001, 1002, 5, null)`)
    expect(counts(await judged(url, { journals }))).toEqual({ doubled: 1, answersMissing: 1 })
  })

  const payUnknown = `SELECT ledger.pay('unknown-1', '\\x', 'transfer', 1001, 1002, 5)`
})

describe('the two sides', () => {
  test('are equal, or the payment on which they differ is named', async () => {
    const otherUrl = await damaged('SELECT 1')
    expect(counts(await judged(database.url('postgres', 'wallet'), { otherUrl }))).toEqual({})
    const behind = await damaged(undo(await quietTransfer()))
    const verdict = await judged(database.url('postgres', 'wallet'), { otherUrl: behind })
    expect(counts(verdict)).toEqual({ sidesDiffer: 1, headsDiffer: 2 })
  })
})

describe('the journal', () => {
  test('is read up to a torn last line, and goes on after it in a new run', async () => {
    const torn = join(directory, 'torn.journal')
    copyFileSync(journal, torn)
    appendFileSync(torn, '{"t":"ask","key":"torn-1","ki')
    const url = database.url('postgres', 'wallet')
    expect((await judged(url, { journals: [torn] })).verdict).toBe('clean')
    const writer = new JournalWriter(torn)
    writer.write({ t: 'run', run: 'again', at: new Date(0).toISOString(), seed: 1, rate: 1 })
    writer.close()
    expect((await judged(url, { journals: [torn] })).verdict).toBe('clean')
  })

  test('that is torn in the middle is not judged', async () => {
    const torn = join(directory, 'middle.journal')
    copyFileSync(journal, torn)
    appendFileSync(
      torn,
      '{"t":"as\n{"t":"ask","key":"torn-2","kind":"top-up","from":null,"to":1001,"amount":1,"ms":1}\n',
    )
    await expect(judged(database.url('postgres', 'wallet'), { journals: [torn] })).rejects.toThrow('cannot be read')
  })

  test('tells of a repeated request that got another answer', async () => {
    const differing = join(directory, 'differing.journal')
    copyFileSync(journal, differing)
    appendFileSync(differing, '{"t":"differs","key":"some-key","ms":1}\n')
    const verdict = await judged(database.url('postgres', 'wallet'), { journals: [differing] })
    expect(counts(verdict)).toEqual({ repliesDiffer: 1 })
  })
})

function writeJournal(name: string, lines: readonly AskLine[]): string {
  const path = join(directory, `${name}.journal`)
  const writer = new JournalWriter(path)
  for (const line of lines) writer.write(line)
  writer.close()
  return path
}

async function keyOf(sql: string): Promise<string> {
  const rows = await query<{ key: string }>(database.url('postgres', 'wallet'), sql)
  return rows[0]?.key ?? expect.fail('no such payment in this load')
}

/** A payment whose entries are the last of both its accounts. */
async function quietTransfer(): Promise<string> {
  return await keyOf(`
    SELECT t.id AS key FROM ledger.transfers t
      JOIN ledger.entries e ON e.transfer_id = t.id JOIN ledger.accounts a ON a.id = e.account_id AND a.entry_count = e.seq
     WHERE t.kind IN ('transfer', 'top-up') AND t.reference NOT LIKE 'seed:%'
     GROUP BY t.id HAVING count(*) = 2 ORDER BY t.id DESC LIMIT 1`)
}

function refusedTransfer(): AskLine {
  const lines = readFileSync(journal, 'utf8').trimEnd().split('\n')
  const parsed = lines.map((line) => JSON.parse(line) as JournalLine)
  const refused = new Set(parsed.flatMap((line) => (line.t === 'end' && line.outcome === 'refused' ? [line.key] : [])))
  const asked = parsed.filter((line) => line.t === 'ask')
  return asked.find(({ key, kind }) => kind === 'transfer' && refused.has(key)) ?? expect.fail('nothing was refused')
}
