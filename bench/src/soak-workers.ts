/**
 * Many small moves on a real PostgreSQL control database, from start to finalize, by 1, 2 and 4 worker processes; then
 * by three of which two are killed. The moves are files, so that what is measured is the control plane: jobs, movers,
 * cutovers, takeover.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ApiClient } from '@replatform/control/api-client'
import type { OperationVerb } from '@replatform/control/api-types'
import { FileStore } from '@replatform/control/test-fixtures/file-store'
import { pollUntil } from '@replatform/testkit/poll-until'
import { startPostgresql } from '@replatform/testkit/postgresql-server'
import type { SoakOptions } from './soak.ts'

/** Waves that a worker hosts at once: each is a mover process. */
const atOnce = 6

export async function soakWorkers({ moves, log }: SoakOptions): Promise<object> {
  await using server = await startPostgresql({ major: 17 })
  const figures: Record<string, string> = {}
  for (const [name, workers, kills] of [
    ['1 worker', 1, 0],
    ['2 workers', 2, 0],
    ['4 workers', 4, 0],
    ['3 workers, 2 killed', 3, 2],
  ] as const) {
    const database = `control_${name.replaceAll(/\W+/g, '_')}`
    await server.createDatabase(database)
    const seconds = await runOnce({ moves, workers, kills, controlUrl: server.url(database) })
    figures[name] = `${seconds.toFixed(1)} s for ${moves} moves`
    log(`${name}: ${figures[name]}`)
  }
  return figures
}

interface Run {
  readonly moves: number
  readonly workers: number
  readonly kills: number
  readonly controlUrl: string
}

async function runOnce({ moves, workers, kills, controlUrl }: Run): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'soak-workers-'))
  const names = Array.from({ length: moves }, (_, i) => `move-${i + 1}`)
  const stores = Object.fromEntries(names.map((name) => [name, new FileStore(join(folder, name))]))
  for (const store of Object.values(stores)) store.setRows('old', 3)
  const folders = Object.fromEntries(names.map((name) => [name, join(folder, name)]))
  const children: ChildProcess[] = []
  try {
    for (let worker = 0; worker < workers; worker++) {
      const stateDirectory = join(folder, `worker-${worker}`)
      children.push(await forkWorker({ stateDirectory, stores: folders, controlUrl, mostWaves: atOnce }))
    }
    // The last one stays.
    const client = new ApiClient(join(folder, `worker-${workers - 1}`))
    const states = statesOf(client)
    const startedAt = performance.now()
    const done = Promise.all(names.map((name) => wholeWay(client, name, states)))
    const killing = killSome(children.slice(0, kills), states)
    await Promise.all([done, killing])
    const seconds = (performance.now() - startedAt) / 1_000
    for (const [name, store] of Object.entries(stores)) {
      const state = [store.rows('new'), store.has('old', 'fenced'), store.has('new', 'fenced'), store.route]
      assert.deepEqual(state, [3, true, false, 'new'], name)
    }
    return seconds
  } finally {
    for (const child of children) child.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true, maxRetries: 10 })
  }
}

type States = () => Promise<ReadonlyMap<string, string>>

/** One look for all who wait: a status of fifty moves is no small question. */
function statesOf(client: ApiClient): States {
  let last: { readonly at: number; readonly states: Promise<ReadonlyMap<string, string>> } | null = null
  const look = async () => new Map((await client.status()).moves.map(({ name, state }) => [name, state as string]))
  return () => {
    if (!last || performance.now() - last.at > 400) last = { at: performance.now(), states: look() }
    return last.states
  }
}

async function wholeWay(client: ApiClient, name: string, states: States): Promise<void> {
  await perform(client, 'start', name)
  await patiently(`${name} is in sync`, async () => (await states()).get(name) === 'in-sync')
  await perform(client, 'cutover', name)
  await perform(client, 'finalize', name)
}

async function perform(client: ApiClient, verb: OperationVerb, name: string): Promise<void> {
  const { id } = await client.ask(verb, name, { actor: 'soak@rig' })
  const end = await patiently(`${verb} ${name} ends`, async () => {
    const operation = await client.operation(id)
    return operation.state === 'running' ? undefined : operation
  })
  // Aborted, because its coordinator died or the machine was too busy for its budget: it is asked for again.
  if (end.state === 'failed' && end.error?.code.startsWith('cutover.')) return perform(client, verb, name)
  assert.equal(end.state, 'done', `${verb} ${name}: ${end.error?.code}`)
}

/** In the thick of it: when a third of the moves have got somewhere. */
async function killSome(victims: readonly ChildProcess[], states: States): Promise<void> {
  for (const [index, victim] of victims.entries()) {
    await patiently('some moves have ended', async () => {
      const all = [...(await states()).values()]
      return all.filter((state) => state === 'finalized').length >= ((index + 1) * all.length) / 6
    })
    victim.kill('SIGKILL')
  }
}

function patiently<T>(reason: string, condition: () => Promise<T>): Promise<NonNullable<T>> {
  return pollUntil(reason, condition, { withinMs: 900_000, everyMs: 500 })
}

async function forkWorker(options: object): Promise<ChildProcess> {
  const main = new URL(import.meta.resolve('@replatform/control/test-fixtures/file-worker-main'))
  const child = fork(main, [JSON.stringify(options)], { execArgv: [], stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
  await once(child, 'message')
  return child
}
