/** `npm run rig -- up|status|down`: the estate's servers in the background. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { pollUntil } from './poll-until.ts'
import { isRigMemberName, rigMemberNames } from './rig-member-name.ts'
import { askKeeper, type RigMemberStatus, type RigState, readRigState } from './rig-state.ts'

const usage = `usage: npm run rig -- up [--plain] [--json] [member…]   starts them, with TLS unless --plain
       npm run rig -- status [--json]               asks each of them
       npm run rig -- down                          ends them all
members: ${rigMemberNames.join(' ')}`

const folder = process.env.RIG_STATE_FOLDER ?? fileURLToPath(new URL('../../../.rig', import.meta.url))
const logFile = join(folder, 'keeper.log')

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { plain: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } },
})
const [verb, ...names] = positionals
process.exitCode = await run()

async function run(): Promise<number> {
  const unknown = names.filter((name) => !isRigMemberName(name))
  if (unknown.length > 0) return fail(`no such member: ${unknown.join(' ')}\n${usage}`)
  if (verb === 'up') return up()
  if (verb === 'status') return status()
  if (verb === 'down') return down()
  return fail(usage)
}

async function up(): Promise<number> {
  if (await readRigState(folder)) return fail('the rig is up already; npm run rig -- down ends it')
  const state = await startKeeper()
  if (!state) return fail(`the rig did not start:\n${await logTail()}`)
  show(await askKeeper(state))
  console.error(`Addresses with their passwords: ${folder}/estate.json, and as RIG_*_URL: ${folder}/estate.env`)
  return 0
}

async function status(): Promise<number> {
  const state = await readRigState(folder)
  const statuses = state ? await askKeeper(state) : []
  show(statuses)
  if (!state) return fail('the rig is down')
  return statuses.every(({ answers }) => answers) ? 0 : 1
}

async function down(): Promise<number> {
  const state = await readRigState(folder)
  if (!state) return 0
  process.kill(state.pid, 'SIGTERM')
  await pollUntil('the keeper has ended', () => !isAlive(state.pid), { withinMs: 120_000 })
  return 0
}

/** `undefined` when it ended before everything had started. */
async function startKeeper(): Promise<RigState | undefined> {
  await mkdir(folder, { recursive: true })
  await using log = await open(logFile, 'w', 0o600)
  const main = fileURLToPath(new URL('./rig-keeper.ts', import.meta.url))
  const wanted = names.length > 0 ? names : rigMemberNames
  const keeper = spawn(process.execPath, [main, folder, values.plain ? 'plain' : 'tls', ...wanted], {
    cwd: '/',
    stdio: ['ignore', log.fd, log.fd],
    // Outlives us, and Ctrl-C in this terminal afterwards.
    detached: true,
  })
  const giveUp = (): void => void keeper.kill('SIGTERM')
  process.once('SIGINT', giveUp)
  const ended = once(keeper, 'exit').then(() => undefined)
  const started = pollUntil('the rig is up', () => readRigState(folder), { withinMs: 300_000, everyMs: 200 })
  const state = await Promise.race([started, ended])
  process.off('SIGINT', giveUp)
  keeper.unref()
  return state
}

function show(statuses: readonly RigMemberStatus[]): void {
  if (values.json) {
    console.log(JSON.stringify(statuses, undefined, 2))
    return
  }
  for (const { name, address, answers, problem, answerMs, memoryBytes } of statuses) {
    const memory = `${Math.round(memoryBytes / 2 ** 20)} MB`.padStart(8)
    const answer = answers ? `answers in ${answerMs} ms` : `does not answer: ${problem}`
    console.log(`${name.padEnd(14)} ${address.padEnd(44)} ${memory}   ${answer}`)
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

async function logTail(): Promise<string> {
  return (await readFile(logFile, 'utf8')).trimEnd().split('\n').slice(-20).join('\n')
}

function fail(message: string): number {
  console.error(`rig: ${message}`)
  return 1
}
