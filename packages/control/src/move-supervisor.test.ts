import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ReplatformError } from '@replatform/core/errors'
import { directionOf, type MoveState } from '@replatform/core/move'
import { type Clock, systemClock } from '@replatform/engine/clock'
import { noLimits } from '@replatform/engine/strain-watch'
import { describe, expect, test } from 'vitest'
import { backoffMs, MoveSupervisor } from './move-supervisor.ts'
import { MoverProcess } from './mover-process.ts'
import { until } from './test-fixtures/control-rig.ts'
import { FileStore } from './test-fixtures/file-store.ts'

const log = { info: () => {}, warn: () => {}, error: () => {} }

/** A supervisor over a real mover process, with waiting times that pass at once and are noted. */
async function supervise(state: MoveState, onWait: (waited: number, store: FileStore) => void = () => {}) {
  const folder = await mkdtemp(join(tmpdir(), 'supervisor-'))
  const store = new FileStore(folder)
  const waits: number[] = []
  const states: MoveState[] = []
  const pauses: ReplatformError[] = []
  const clock: Clock = {
    ...systemClock,
    sleep: async (ms, signal) => {
      if (ms === 30_000 && signal) return systemClock.sleep(ms, signal) // The time limit of `stop`.
      waits.push(ms)
      onWait(waits.length, store)
    },
  }
  const side = { kind: 'postgresql', url: folder } as const
  const main = new URL('./test-fixtures/file-mover-main.ts', import.meta.url)
  const supervisor = new MoveSupervisor({
    spec: { name: 'ledger', store: { source: side, target: side }, tools: {} },
    startMover: () => MoverProcess.start({ main, move: 'ledger', log }),
    where: () => ({ direction: directionOf(state) ?? 'forward', state: states.at(-1) ?? state }),
    limits: () => noLimits,
    onState: async (reached) => void states.push(reached),
    onPaused: async (error) => void pauses.push(error),
    clock,
    log,
  })
  return {
    supervisor,
    store,
    waits,
    states,
    pauses,
    async [Symbol.asyncDispose]() {
      await supervisor.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

describe('a supervised mover', () => {
  test('reports its states in order and its progress', async () => {
    await using supervised = await supervise('planned')
    const { supervisor, store, states } = supervised
    store.setRows('old', 5)
    supervisor.start()
    await until('it follows', () => supervisor.progress.follow())
    await until('it is in sync', () => states.includes('in-sync'))
    expect(states).toEqual(['prepared', 'loading', 'catching-up', 'in-sync'])
    expect(supervisor.progress.load()).toMatchObject({
      groups: [{ name: 'rows', loaded: { rows: 5 } }],
      etaSeconds: 0,
    })
    expect(supervisor.mover).toMatchObject({ restarts: 0, pid: expect.any(Number) })
  })

  test('is started again after kill -9 and goes on where its data says', async () => {
    await using supervised = await supervise('planned')
    const { supervisor, store } = supervised
    supervisor.start()
    await until('it follows', () => supervisor.progress.follow())
    const before = supervisor.mover?.pid ?? 0
    process.kill(before, 'SIGKILL')
    await until('another follows', () => supervisor.mover && supervisor.mover.pid !== before)
    store.insert('old')
    await until('the row is there', () => store.rows('new') === 1)
    expect(supervisor.mover?.restarts).toBe(1)
    expect(store.trace().filter((line) => line === 'load forward')).toHaveLength(1)
  })

  test('waits longer each time that an error comes back, and forgets it after progress', async () => {
    await using supervised = await supervise('planned', (waited, store) => {
      if (waited < 4) store.setFault('before prepare', 'connection.refused')
      if (waited === 4) store.setFault('before finishLoad', 'connection.lost')
    })
    const { supervisor, store, waits, pauses } = supervised
    store.setFault('before prepare', 'connection.refused')
    supervisor.start()
    await until('it follows', () => supervisor.progress.follow())
    expect(waits).toEqual([backoffMs(1), backoffMs(2), backoffMs(3), backoffMs(4), backoffMs(1)])
    expect(pauses).toEqual([])
  })

  test('is paused when only a person can help', async () => {
    await using supervised = await supervise('planned')
    const { supervisor, store, waits, pauses } = supervised
    store.setFault('before load', 'target.full')
    supervisor.start()
    await until('it is paused', () => pauses.length > 0)
    expect([pauses[0]?.code, waits, supervisor.mover, supervisor.isRunning]).toEqual(['target.full', [], null, false])
  })

  test('is paused when it crashes again and again without progress', async () => {
    await using supervised = await supervise('planned', (_waited, store) => store.setFault('before prepare', 'crash'))
    const { supervisor, store, waits, pauses } = supervised
    store.setFault('before prepare', 'crash')
    supervisor.start()
    await until('it is paused', () => pauses.length > 0)
    expect([pauses[0]?.code, waits.length]).toEqual(['mover.crashed', 7])
  })

  test('stops at a durable point and answers verbs afterwards, in the same process', async () => {
    await using supervised = await supervise('planned')
    const { supervisor, store } = supervised
    supervisor.start()
    await until('it follows', () => supervisor.progress.follow())
    const pid = supervisor.mover?.pid
    await supervisor.stop()
    await supervisor.stop()
    store.insert('old')
    expect(await supervisor.call('remaining', { direction: 'forward', barrier: barrier() })).toMatchObject({ count: 1 })
    expect(supervisor.mover?.pid).toBe(pid)
    supervisor.start()
    await until('the row is there', () => store.rows('new') === 1)
  })

  test('ends when it is closed, and answers no more', async () => {
    await using supervised = await supervise('planned')
    const mover = await openMover(supervised.store.folder)
    await mover[Symbol.asyncDispose]()
    expect(() => process.kill(mover.pid, 0)).toThrowError(/ESRCH/)
    await expect(mover.client.call('assess', { direction: 'forward' })).rejects.toMatchObject({ code: 'mover.crashed' })
  })

  test('is killed when it hangs', async () => {
    await using supervised = await supervise('planned')
    await using mover = await openMover(supervised.store.folder, 8_000)
    process.kill(mover.pid, 'SIGSTOP')
    await expect(mover.client.call('assess', { direction: 'forward' })).rejects.toMatchObject({ code: 'mover.crashed' })
  })
})

test('the wait grows but stays within half a minute', () => {
  const waits = Array.from({ length: 40 }, (_, index) => backoffMs(index + 1))
  expect(waits[0]).toBeGreaterThanOrEqual(100)
  expect(waits).toEqual(waits.toSorted((a, b) => a - b))
  expect(waits.at(-1)).toBe(30_000)
})

function barrier() {
  return { position: '1', at: '' } as never
}

async function openMover(url: string, silentForMs = 60_000): Promise<MoverProcess> {
  const main = new URL('./test-fixtures/file-mover-main.ts', import.meta.url)
  const mover = MoverProcess.start({ main, move: 'ledger', log, silentForMs })
  const side = { kind: 'postgresql', url } as const
  await mover.client.call('open', { spec: { name: 'ledger', store: { source: side, target: side }, tools: {} } })
  return mover
}
