import { execFile } from 'node:child_process'
import { readFile, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createClient } from '@redis/client'
import { expect, test } from 'vitest'
import { rigAuthority } from './certificate-authority.ts'
import { pollUntil } from './poll-until.ts'
import type { RigMemberStatus, RigState } from './rig-state.ts'
import { createTempFolder } from './temp-folder.ts'

const main = fileURLToPath(new URL('./rig-main.ts', import.meta.url))

test('up, status, down: passwords stay in a file of their owner, and nothing is left', async () => {
  await using folder = await createTempFolder('rig-state')
  const rig = (...args: string[]) => runRig(folder.path, ...args)
  await expect(rig('status')).rejects.toMatchObject({ code: 1, stderr: 'rig: the rig is down\n' })
  const up = await rig('up', 'redis')
  await expect(rig('up', 'redis')).rejects.toMatchObject({ stderr: expect.stringContaining('up already') })

  const state = await readState(folder.path)
  expect((await stat(join(folder.path, 'estate.json'))).mode & 0o777).toBe(0o600)
  const url = String(state.members.redis)
  const { password } = new URL(url)
  expect(password).not.toBe('')
  expect(up.stdout + up.stderr).not.toContain(password)
  const { certificate: ca } = await rigAuthority()
  const client = await createClient({ url, socket: { tls: true, ca } }).connect()
  expect(await client.ping()).toBe('PONG')
  client.destroy()

  const [redis] = JSON.parse((await rig('status', '--json')).stdout) as RigMemberStatus[]
  expect(redis).toMatchObject({ name: 'redis', tls: true, answers: true })
  await rig('down')
  await expectGone(state)
  await expect(readState(folder.path)).rejects.toThrow('ENOENT')
  await rig('down')
})

test('a keeper that was killed takes its servers along, and the rig can be started again', async () => {
  await using folder = await createTempFolder('rig-state')
  await runRig(folder.path, 'up', '--plain', 'redis')
  const state = await readState(folder.path)
  process.kill(state.pid, 'SIGKILL')
  await expectGone(state)
  await runRig(folder.path, 'up', '--plain', 'redis')
  const again = await readState(folder.path)
  await runRig(folder.path, 'down')
  await expectGone(again)
})

test('what cannot be understood is said, with how it is used', async () => {
  await expect(runRig('/nowhere', 'up', 'rediss')).rejects.toMatchObject({
    stderr: expect.stringContaining('no such member: rediss'),
  })
  await expect(runRig('/nowhere')).rejects.toMatchObject({ stderr: expect.stringContaining('usage') })
})

function runRig(stateFolder: string, ...args: string[]): Promise<{ stdout: string; stderr: string }> {
  return promisify(execFile)(process.execPath, [main, ...args], {
    env: { ...process.env, RIG_STATE_FOLDER: stateFolder },
  })
}

async function readState(folder: string): Promise<RigState> {
  return JSON.parse(await readFile(join(folder, 'estate.json'), 'utf8')) as RigState
}

async function expectGone({ pid, socket, members }: RigState): Promise<void> {
  await pollUntil('the keeper has ended', () => !isAlive(pid))
  await pollUntil("the keeper's folder is gone", () =>
    stat(dirname(socket)).then(
      () => false,
      () => true,
    ),
  )
  const { port } = new URL(String(members.redis))
  await pollUntil('the server has ended', () =>
    fetch(`http://127.0.0.1:${port}`).then(
      () => false,
      (error: Error) => String(error.cause).includes('ECONNREFUSED'),
    ),
  )
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
