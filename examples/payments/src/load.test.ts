/** The programs as a demo runs them: each a process of its own, told by environment, read by its lines of JSON. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Pause } from './pause.ts'
import { finished, firstLine, read, start } from './stage/program.ts'
import { startTestDatabase, type TestDatabase } from './test-database.ts'
import type { Verdict } from './verdict.ts'

const directory = mkdtempSync(join(tmpdir(), 'load-test-'))
let database: TestDatabase

beforeAll(async () => {
  database = await startTestDatabase(17)
  await finished(start('schema-main.ts', ['--accounts', '100', '--history', '2000'], schemaEnvironment()))
}, 60_000)
afterAll(async () => {
  await database[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true })
})

test('a load on the wallet ends with a clean verdict, and says what payments felt', async () => {
  const journal = join(directory, 'load.journal')
  const baseline = join(directory, 'baseline.json')
  await finished(start('judge-main.ts', ['--record-baseline', baseline], judgeEnvironment()))
  await using wallet = await startWallet()
  const from = new Date().toISOString()
  const load = ['--url', wallet.url, '--rate', '150', '--seconds', '3', '--accounts', '100', '--journal', journal]
  const lines = await finished<Summary>(start('load-main.ts', [...load, '--settle'], {}))
  const summary = lines.at(-1)
  expect(lines.filter(({ type }) => type === 'progress').length).toBeGreaterThan(0)
  expect(summary).toMatchObject({ type: 'summary', unknown: 0, differing: 0 })
  expect(summary?.requests).toBe((summary?.acknowledged ?? 0) + (summary?.refused ?? 0))

  const judging = ['--journal', journal, '--baseline', baseline, '--json']
  const [verdict] = await finished<Verdict>(start('judge-main.ts', judging, judgeEnvironment()))
  expect(verdict).toMatchObject({ verdict: 'clean', payments: summary?.requests, success: summary?.acknowledged })

  const window = ['--journal', journal, '--from', from, '--to', new Date().toISOString()]
  const [pause] = await finished<Pause>(start('pause-main.ts', window, {}))
  expect(pause?.acknowledged).toBe(summary?.acknowledged)
  // The journal rounds each time to a microsecond, so the two may differ in the last digit.
  expect(pause?.longestGapMs).toBeCloseTo(summary?.longestGapMs ?? Number.NaN, 1)
})

test('a load that is killed leaves a journal from which the ledger can be judged', async () => {
  const before = join(directory, 'load.journal')
  const journal = join(directory, 'killed.journal')
  await using wallet = await startWallet()
  const load = start('load-main.ts', ['--url', wallet.url, '--accounts', '100', '--journal', journal], {})
  await acknowledgedBeyond(journal, 0)
  load.kill('SIGKILL')
  await once(load, 'exit')
  // What was under way is finished or dropped once the wallet has ended.
  await wallet[Symbol.asyncDispose]()
  const judging = ['--journal', before, '--journal', journal, '--json']
  const [verdict] = await finished<Verdict>(start('judge-main.ts', judging, judgeEnvironment()))
  expect(verdict?.verdict).toBe('clean')
}, 180_000)

test('payments go on after the wallet was killed and started again, and none is lost or doubled', async () => {
  const journal = join(directory, 'restarted.journal')
  const earlier = ['load.journal', 'killed.journal'].flatMap((name) => ['--journal', join(directory, name)])
  const first = await startWallet()
  const arguments_ = ['--url', first.url, '--rate', '60', '--accounts', '100', '--journal', journal, '--settle']
  const load = start('load-main.ts', arguments_, {})
  const lines = read<Summary>(load)
  await acknowledgedBeyond(journal, 50)
  first.process.kill('SIGKILL')
  await once(first.process, 'exit')
  await using _second = await startWallet(new URL(first.url).port)
  await acknowledgedBeyond(journal, successes(journal) + 50)
  load.kill('SIGTERM')
  expect((await lines).at(-1)).toMatchObject({ type: 'summary', unknown: 0 })
  const judging = [...earlier, '--journal', journal, '--json']
  const [verdict] = await finished<Verdict>(start('judge-main.ts', judging, judgeEnvironment()))
  expect(verdict).toMatchObject({ verdict: 'clean', lost: 0, doubled: 0 })
}, 180_000)

test('what is missing from the environment or the command line is said in one sentence', async () => {
  const judgement = start('judge-main.ts', ['--journal', 'x'], {})
  let complaint = ''
  judgement.stderr?.on('data', (part) => (complaint += part))
  expect(await once(judgement, 'exit')).toEqual([2, null])
  expect(complaint).toBe('set JUDGE_DATABASE_URL in the environment\n')
})

interface Summary {
  readonly type: string
  readonly requests: number
  readonly acknowledged: number
  readonly refused: number
  readonly longestGapMs: number
}

interface StartedWallet extends AsyncDisposable {
  readonly url: string
  readonly process: ChildProcess
}

async function startWallet(port = '0'): Promise<StartedWallet> {
  const environment = { WALLET_DATABASE_URL: database.url('wallet', 'wallet') }
  const process = start('wallet-main.ts', ['--port', port], environment)
  const line = JSON.parse(await firstLine(process)) as { port: number }
  return {
    url: `http://127.0.0.1:${line.port}`,
    process,
    async [Symbol.asyncDispose]() {
      if (process.exitCode !== null || process.signalCode !== null) return
      const exited = once(process, 'exit')
      process.kill('SIGTERM')
      expect(await exited).toEqual([0, null])
    },
  }
}

async function acknowledgedBeyond(journal: string, count: number): Promise<void> {
  await expect.poll(() => successes(journal), { timeout: 90_000, interval: 50 }).toBeGreaterThan(count)
}

function successes(journal: string): number {
  try {
    return readFileSync(journal, 'utf8').split('"outcome":"success"').length - 1
  } catch {
    return 0
  }
}

function schemaEnvironment(): Record<string, string> {
  return {
    LEDGER_ADMIN_URL: database.url('postgres'),
    WALLET_OWNER_PASSWORD: database.ownerPassword,
    WALLET_PASSWORD: database.walletPassword,
  }
}

function judgeEnvironment(): Record<string, string> {
  return { JUDGE_DATABASE_URL: database.url('wallet', 'wallet') }
}
