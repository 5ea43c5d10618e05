/**
 * Goal: `npm run load` says what it found in one document, and nothing of it outlives it, however it ends. Method: every
 * process below it is noted while customers come; then it ends by itself, or by SIGKILL.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { pollUntil } from '@replatform/testkit/poll-until'
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
async function processesBelowBusy(load: ChildProcess): Promise<string[]> {
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

async function expectGone(processes: readonly string[]): Promise<void> {
  const left = async () => {
    const alive = new Set((await allProcesses()).map(({ identity }) => identity))
    return processes.filter((each) => alive.has(each))
  }
  await pollUntil('no process is left', async () => (await left()).length === 0, { withinMs: 60_000 })
}

async function descendantsOf(root: number): Promise<string[]> {
  const all = await allProcesses()
  const below = new Set([root])
  // A parent may be listed after its child, since ids start again from below.
  for (let before = 0; before < below.size; ) {
    before = below.size
    for (const { pid, parent } of all) if (below.has(parent)) below.add(pid)
  }
  return all.filter(({ pid }) => pid !== root && below.has(pid)).map(({ identity }) => identity)
}

interface ProcessStat {
  readonly pid: number
  readonly parent: number
  /** The id and the moment of its start: an id may be given again. */
  readonly identity: string
}

/** Of /proc/[pid]/stat (proc(5)): field 4 is the parent, 22 the start; the name in field 2 may hold anything. */
async function allProcesses(): Promise<ProcessStat[]> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const stats = await Promise.all(ids.map((id) => readFile(`/proc/${id}/stat`, 'utf8').catch(() => '')))
  return stats
    .map((line) => line.slice(line.lastIndexOf(')') + 2).split(' '))
    .flatMap(([state, parent, ...rest], index) =>
      parent === undefined || state === 'Z'
        ? []
        : [{ pid: Number(ids[index]), parent: Number(parent), identity: `${ids[index]} ${rest[17]}` }],
    )
}
