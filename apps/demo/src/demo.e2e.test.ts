/**
 * Goal: the demo ends with a clean verdict and exit code 0, and leaves nothing behind, however it ends. Method: its main
 * program as `npm run demo` starts it, small: one cutover, a short history.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { pollUntil } from '@replatform/testkit/poll-until'
import { descendantsOf, stillRunning } from '@replatform/testkit/process-tree'
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
  await pollUntil('nothing is left', async () => (await stillRunning(before)).length === 0)
})

function start(args: readonly string[]) {
  return spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] }) satisfies ChildProcess
}
