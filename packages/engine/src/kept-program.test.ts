/**
 * Goal: a program of somebody else's never outlives us, nor does its folder with what is secret in it. Method: a process
 * that keeps one is killed at once; another keeps one that never becomes ready.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, stat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { findProgram, KeptProgram } from './kept-program.ts'

const sleeper = { name: 'sleeper', program: '/bin/sleep', args: () => ['600'] }

test('it ends, and its folder goes, when the process that keeps it is killed', async () => {
  const script = `
    const { KeptProgram } = await import(${JSON.stringify(new URL('./kept-program.ts', import.meta.url))})
    const kept = await KeptProgram.create({ ...${JSON.stringify(sleeper)}, args: () => ['600'] })
    await kept.write('secret', 'x')
    await kept.start(async () => {})
    console.log(JSON.stringify({ pid: kept.pid, folder: kept.folder }))`
  const keeper = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = await once(keeper.stdout, 'data')
  const { pid, folder } = JSON.parse(String(line))
  expect([isAlive(pid), (await stat(folder)).mode & 0o777]).toEqual([true, 0o700])

  keeper.kill('SIGKILL')
  await until(async () => !isAlive(pid) && !(await exists(folder)))
})

test('it is gone after its disposal, started or not', async () => {
  const never = await KeptProgram.create(sleeper)
  await never[Symbol.asyncDispose]()
  expect(await exists(never.folder)).toBe(false)

  const started = await KeptProgram.create(sleeper)
  await started.start(async () => {})
  const { pid } = started
  if (pid === null) throw new Error('It was not started.')
  await started[Symbol.asyncDispose]()
  expect([isAlive(pid), await exists(started.folder)]).toEqual([false, false])
})

test('a program is found by its name or path, or not at all', async () => {
  expect(await findProgram('/bin/sleep')).toBe('/bin/sleep')
  expect(await findProgram('sleep')).toMatch(/\/sleep$/)
  expect(await findProgram('/nowhere/sleep')).toBeUndefined()
})

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error('It outlived the process that kept it.')
    await sleep(20)
  }
}
