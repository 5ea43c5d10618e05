/**
 * Goal: the whole estate of `npm run rig` is there in little memory, other processes may use its servers in place of
 * their own, and nothing of it outlives a crash. Method: everything at once with TLS; a second process for each kind;
 * SIGKILL to the keeper, then a count of processes and folders.
 */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseEnv, promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { exists } from './cache.ts'
import { pollUntil } from './poll-until.ts'
import { rigMemberNames } from './rig-member-name.ts'
import type { RigMemberStatus, RigState } from './rig-state.ts'
import { processesUnder } from './server-process.ts'
import { createTempFolder, type TempFolder } from './temp-folder.ts'

const program = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const memoryMax = 4 * 2 ** 30
let folder: TempFolder
let keeper: number

beforeAll(async () => {
  folder = await createTempFolder('rig-estate')
  await rig('up')
  const state = JSON.parse(await readFile(join(folder.path, 'estate.json'), 'utf8')) as RigState
  keeper = state.pid
}, 300_000)
afterAll(async () => {
  await rig('down')
  await folder[Symbol.asyncDispose]()
})

async function rig(...args: string[]): Promise<string> {
  const env = { ...process.env, RIG_STATE_FOLDER: folder.path }
  return (await promisify(execFile)(process.execPath, [program('./rig-main.ts'), ...args], { env })).stdout
}

async function statuses(): Promise<RigMemberStatus[]> {
  return JSON.parse(await rig('status', '--json')) as RigMemberStatus[]
}

test('every member answers, with TLS, and all together stay below 4 GB', async () => {
  const members = await statuses()
  expect(members.map(({ name }) => name)).toEqual(rigMemberNames)
  expect(members.filter(({ answers }) => !answers)).toEqual([])
  // The gateway passes on what PostgreSQL encrypts itself.
  expect(members.filter(({ tls }) => !tls).map(({ name }) => name)).toEqual(['haproxy'])
  expect(members.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0)).toBeLessThan(memoryMax)
})

const used = [
  'postgresql-17',
  'mariadb',
  'redis',
  'mongodb',
  'rabbitmq',
  'activemq',
  'elasticsearch',
  'opensearch',
  'aws',
]

test.each(used)(
  'another process uses %s by its address in place of one of its own, and cannot end it',
  async (kind) => {
    const own = parseEnv(await readFile(join(folder.path, 'estate.env'), 'utf8'))
    const variable = `RIG_${kind.toUpperCase().replaceAll('-', '_')}_URL`
    const env = { PATH: process.env.PATH, [variable]: own[variable], RIG_AUTHORITY_FILE: own.RIG_AUTHORITY_FILE }
    const args = [program('./test-fixtures/use-server.ts'), kind]
    const { stdout } = await promisify(execFile)(process.execPath, args, { env })
    expect(JSON.parse(stdout)).toEqual({ answer: 'given', refusal: expect.stringContaining(variable) })
  },
)

test('nothing is left when the keeper is killed', async () => {
  const folders = (await statuses()).flatMap((member) => member.folders)
  expect(folders.length).toBeGreaterThanOrEqual(rigMemberNames.length)
  process.kill(keeper, 'SIGKILL')
  for (const each of folders) {
    await pollUntil(`no process is left in ${each}`, async () => (await processesUnder(each)).length === 0)
    await pollUntil(`${each} is gone`, async () => !(await exists(each)))
  }
})
