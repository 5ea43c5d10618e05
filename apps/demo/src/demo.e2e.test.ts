/**
 * Goal: the demo ends with a clean verdict and exit code 0, and leaves nothing behind, however it ends. Method: its main
 * program as `npm run demo` starts it, small: one cutover, a short history.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { pollUntil } from '@replatform/testkit/poll-until'
import { createTempFolder } from '@replatform/testkit/temp-folder'
import { expect, test } from 'vitest'

const main = fileURLToPath(new URL('./main.ts', import.meta.url))
const small = ['--only', 'rehost', '--brief', '--rate', '100', '--history', '1000', '--between-seconds', '0']

test('a small demo moves ledger and sessions, and its judges find everything', { timeout: 400_000 }, async () => {
  await using folder = await createTempFolder('demo-e2e')
  const report = join(folder.path, 'report.html')
  const demo = start([...small, '--json', '--report', report])
  const [output, told, [code]] = await Promise.all([text(demo.stdout), text(demo.stderr), once(demo, 'close')])
  expect(code, told).toBe(0)
  const verdict = JSON.parse(output)
  expect(verdict).toMatchObject({ verdict: 'clean', lost: 0, doubled: 0, unknown: 0, events: null })
  expect(verdict.cutovers.map(({ name }: { name: string }) => name)).toEqual(['cutover'])
  expect(verdict.judge.payments).toBeGreaterThan(100)
  expect(verdict.sessions.judged.items).toBeGreaterThan(0)
  expect(await readFile(report, 'utf8')).toContain('lost, 0 doubled; the judges of ledger and sessions say clean.')
})

test('after SIGTERM no process of it is left', { timeout: 200_000 }, async () => {
  const demo = start(small)
  const ended = once(demo, 'close')
  let told = ''
  demo.stderr.setEncoding('utf8').on('data', (part: string) => (told += part))
  await pollUntil('payments come', () => told.includes('payments a second come'), { withinMs: 150_000 })
  const before = await descendantsOf(demo.pid as number)
  expect(before.length).toBeGreaterThan(5)
  demo.kill('SIGTERM')
  expect((await ended)[0]).toBe(128 + 15)
  const left = async () => (await Promise.all(before.map(isStillThere))).filter(Boolean).length
  await pollUntil('nothing is left', async () => (await left()) === 0)
})

function start(args: readonly string[]) {
  return spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] }) satisfies ChildProcess
}

interface ProcessId {
  readonly pid: number
  /** Since the machine's start: another process may get the same number. */
  readonly startedAt: string
}

async function descendantsOf(root: number): Promise<ProcessId[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const all = (await Promise.all(pids.map(lookAt))).flatMap((found) => found ?? [])
  const family = new Set([root])
  for (let grown = 0; grown < family.size; ) {
    grown = family.size
    for (const { pid, parent } of all) if (family.has(parent)) family.add(pid)
  }
  return all.filter(({ pid }) => pid !== root && family.has(pid))
}

async function isStillThere({ pid, startedAt }: ProcessId): Promise<boolean> {
  return (await lookAt(pid))?.startedAt === startedAt
}

/** `/proc/<pid>/stat`: see proc(5); the name in parentheses may hold anything. Who has ended and waits to be reaped is gone. */
async function lookAt(pid: number): Promise<(ProcessId & { readonly parent: number }) | null> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  if (stat === '' || fields[0] === 'Z') return null
  return { pid, parent: Number(fields[1]), startedAt: fields[19] ?? '' }
}
