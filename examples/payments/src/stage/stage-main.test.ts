/**
 * Goal: `npm run load` says what it found in one document, and nothing of it outlives it, however it ends. Method: every
 * process below it is noted while customers come; then it ends by itself, or by SIGKILL.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { pollUntil } from '@replatform/testkit/poll-until'
import { descendantsOf, type ProcessId, stillRunning } from '@replatform/testkit/process-tree'
import { expect, test } from 'vitest'

const program = fileURLToPath(new URL('./stage-main.ts', import.meta.url))
/** Six stores, seven services, the gateway, and the load. */
const processesMin = 15

test('a load ends by itself with a verdict for each store, and leaves no process', async () => {
  const load = start(['--rate', '40', '--seconds', '4', '--json'])
  const document = text(load.stdout as NodeJS.ReadableStream)
  const below = await processesBelowBusy(load)
  const [code] = await once(load, 'exit')
  const { summary, judgements } = JSON.parse(await document)
  expect(summary.services.wallet.payment.success).toBeGreaterThan(0)
  expect(judgements.map(({ store, verdict }: Record<string, string>) => `${store} ${verdict}`)).toEqual(
    ['ledger', 'sessions', 'events', 'merchants', 'profiles', 'search', 'receipts'].map((store) => `${store} clean`),
  )
  expect(code).toBe(0)
  await expectGone(below)
}, 300_000)

test('a load that is killed leaves no process', async () => {
  const load = start(['--rate', '40', '--seconds', '600'])
  load.stdout?.resume()
  const below = await processesBelowBusy(load)
  load.kill('SIGKILL')
  await expectGone(below)
}, 300_000)

function start(args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
}

/** Everything that descends from the load once its customers come. */
async function processesBelowBusy(load: ChildProcess): Promise<ProcessId[]> {
  let said = ''
  load.stderr?.on('data', (data) => {
    said += data
  })
  const ended = () => load.exitCode !== null || load.signalCode !== null
  await pollUntil('customers come', () => said.includes('arrivals a second') || ended(), { withinMs: 240_000 })
  expect(ended(), said).toBe(false)
  const below = await descendantsOf(load.pid as number)
  expect(below.length, said).toBeGreaterThanOrEqual(processesMin)
  return below
}

async function expectGone(processes: readonly ProcessId[]): Promise<void> {
  const left = async () => (await stillRunning(processes)).length
  await pollUntil('no process is left', async () => (await left()) === 0, { withinMs: 60_000 })
}
