/**
 * Goal: what the simulation takes for a control database behaves as the real one does, so that what holds there holds
 * here. Method: one contract, asked of the records in a PostgreSQL and of the simulated ones.
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Approvals } from '@replatform/control/approvals'
import { AuditAnchor } from '@replatform/control/audit-anchor'
import { AuditLog } from '@replatform/control/audit-log'
import { openSharedDatabase } from '@replatform/control/control-database'
import type { ControlRecords } from '@replatform/control/control-records'
import { CutoverRecords } from '@replatform/control/cutover-records'
import { Incidents } from '@replatform/control/incidents'
import { Journal } from '@replatform/control/journal'
import { MoveRecords } from '@replatform/control/move-records'
import { type NewOperation, OperationRecords } from '@replatform/control/operation-records'
import { PostgresqlDecisionStore } from '@replatform/control/postgresql-decision-store'
import { Rehearsals } from '@replatform/control/rehearsals'
import type { DecisionStore } from '@replatform/engine/decision-store'
import { startPostgresql } from '@replatform/testkit/postgresql-server'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { JobTable } from './job-table.ts'
import { silent } from './machine.ts'
import { Network } from './network.ts'
import { SimControl } from './sim-control.ts'
import { World } from './world.ts'

interface Kept {
  readonly records: ControlRecords
  readonly decisions: DecisionStore
  /** Whatever has to happen for the answer to come. */
  settle<T>(answer: Promise<T>): Promise<T>
}

let server: Awaited<ReturnType<typeof startPostgresql>>
let folder: string
const closing = new AsyncDisposableStack()

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'contract-'))
  server = closing.use(await startPostgresql({ major: 17 }))
}, 60_000)
afterAll(async () => {
  await closing.disposeAsync()
  await rm(folder, { recursive: true, force: true })
})

let databases = 0

async function real(): Promise<Kept> {
  const name = `contract_${++databases}`
  await server.createDatabase(name)
  const database = closing.use(await openSharedDatabase(server.url(name), silent))
  const moves = new MoveRecords(database, 'estate')
  const anchor = new AuditAnchor(join(folder, name))
  const records = {
    moves,
    cutovers: new CutoverRecords(database, 'estate', moves),
    operations: new OperationRecords(database, 'estate'),
    journal: new Journal(database, 'estate'),
    audit: new AuditLog({ database, estate: 'estate', anchor, log: silent }),
    approvals: new Approvals(database, 'estate'),
    incidents: new Incidents(database, 'estate'),
    rehearsals: new Rehearsals(database, 'estate'),
  }
  return { records, decisions: new PostgresqlDecisionStore(database), settle: (answer) => answer }
}

async function simulated(): Promise<Kept> {
  const world = new World(1)
  world.faults.isOver = true
  const control = new SimControl('control', { network: new Network(world), jobs: new JobTable(world) })
  const process = world.process('asker')
  const settle = async <T>(answer: Promise<T>) => {
    let isSettled = false
    const note = () => {
      isSettled = true
    }
    void answer.then(note, note)
    await world.scheduler.run(
      () => isSettled,
      () => {},
    )
    return answer
  }
  return { records: control.records(process), decisions: control.decisions(process), settle }
}

const kinds = [
  ['the real one', real],
  ['the simulated one', simulated],
] as const

describe.each(kinds)('%s', (_, open) => {
  async function opened(moves: readonly string[] = ['ledger', 'orders']) {
    const { records, decisions, settle } = await open()
    for (const move of moves) await settle(records.moves.ensure(move, 'a→b'))
    return { records, decisions, settle }
  }

  async function inSync() {
    const kept = await opened()
    const { records, settle } = kept
    for (const move of ['ledger', 'orders']) {
      for (const state of ['prepared', 'loading', 'catching-up', 'in-sync'] as const) {
        await settle(records.moves.transition(move, state))
      }
    }
    return kept
  }

  test('a move keeps its state when it is ensured again, and takes only the edges of its machine', async () => {
    const { records, settle } = await opened()
    const { moves } = records
    await settle(moves.transition('ledger', 'prepared'))
    await settle(moves.ensure('ledger', 'a→c'))
    expect(await settle(moves.get('ledger'))).toMatchObject({ state: 'prepared', route: 'a→c', shouldRun: false })
    await expect(settle(moves.transition('ledger', 'reversing'))).rejects.toMatchObject({
      code: 'state.transition-refused',
    })
    expect((await settle(moves.list())).map(({ name }) => name)).toEqual(['ledger', 'orders'])
    await expect(settle(moves.get('nobody'))).rejects.toMatchObject({ code: 'estate.unknown-move' })
  })

  test('a pause and its end, a second life', async () => {
    const { records, settle } = await opened()
    const { moves } = records
    expect(await settle(moves.run('ledger'))).toMatchObject({ shouldRun: true, paused: null })
    expect(await settle(moves.pause('ledger', 'why', null))).toMatchObject({
      shouldRun: false,
      paused: { reason: 'why', error: null },
    })
    expect(await settle(moves.run('ledger'))).toMatchObject({ shouldRun: true, paused: null })
    expect(await settle(moves.end('ledger'))).toMatchObject({ shouldRun: false, paused: null })
    await settle(moves.transition('ledger', 'cancelled'))
    expect(await settle(moves.renew('ledger'))).toMatchObject({ state: 'planned' })
  })

  test('a move is claimed by one operation at a time, all moves of it or none', async () => {
    const { records, settle } = await opened()
    const { operations } = records
    await settle(operations.add(asked('one', { move: 'ledger', claims: ['ledger'] })))
    const wave = asked('two', { wave: 'all', claims: ['orders', 'ledger'] })
    await expect(settle(operations.add(wave))).rejects.toMatchObject({ code: 'operation.running' })
    await expect(settle(operations.get('two'))).rejects.toMatchObject({ code: 'operation.unknown' })
    await settle(operations.add(asked('three', { move: 'orders', claims: ['orders'] })))
    await settle(operations.add(asked('shared', { move: 'ledger', claims: [] })))
    const running = await settle(operations.running({ move: 'ledger', wave: null }))
    expect(running.map(({ id }) => id).toSorted()).toEqual(['one', 'shared'])
    await settle(operations.finish('one', { result: null, error: null, at: '2026-01-01T00:00:09.000Z' }))
    await settle(operations.finish('three', { result: null, error: null, at: '2026-01-01T00:00:09.000Z' }))
    expect(await settle(operations.add(wave))).toMatchObject({ id: 'two', state: 'running', move: null, wave: 'all' })
  })

  test('the first end of an operation stands', async () => {
    const { records, settle } = await opened()
    const { operations } = records
    await settle(operations.add(asked('one', { move: 'ledger', claims: ['ledger'] })))
    const error = { code: 'internal', message: 'no' } as never
    const first = { result: { kind: 'none' }, error: null, at: '2026-01-01T00:00:09.000Z' } as const
    expect(await settle(operations.finish('one', first))).toBe(true)
    expect(await settle(operations.finish('one', { result: null, error, at: '2026-01-01T00:00:10.000Z' }))).toBe(false)
    expect(await settle(operations.get('one'))).toMatchObject({
      state: 'done',
      error: null,
      result: { kind: 'none' },
      finishedAt: first.at,
    })
    expect(await settle(operations.running({ move: 'ledger', wave: null }))).toEqual([])
    const dry = await settle(operations.add({ ...asked('dry', { move: 'ledger', claims: [] }), state: 'done' }))
    expect(dry.finishedAt).toBe(dry.startedAt)
    const known = await settle(operations.ofWave('all', ['ledger']))
    expect(known.map(({ id }) => id).toSorted()).toEqual(['dry', 'one'])
  })

  test('a cutover begins for all its moves or for none, and only while its operation runs', async () => {
    const { records, settle } = await inSync()
    const { cutovers, moves, operations } = records
    await expect(settle(cutovers.begin(cutover('c-1')))).rejects.toMatchObject({ code: 'operation.interrupted' })
    await settle(operations.add(asked('c-1', { wave: 'all', claims: [] })))
    await settle(moves.transition('orders', 'catching-up'))
    await expect(settle(cutovers.begin(cutover('c-1')))).rejects.toMatchObject({ code: 'state.transition-refused' })
    expect(await settle(moves.get('ledger'))).toMatchObject({ state: 'in-sync' })
    expect(await settle(cutovers.find('c-1'))).toBeUndefined()
    await settle(moves.transition('orders', 'in-sync'))
    await settle(cutovers.begin(cutover('c-1')))
    await expect(settle(cutovers.begin(cutover('c-1')))).rejects.toThrow()
    expect(await settle(moves.get('orders'))).toMatchObject({ state: 'cutting-over' })
    const begun = await settle(cutovers.unfinished('ledger'))
    expect(begun).toEqual({ ...cutover('c-1'), outcome: null, pauseMs: null })
    expect(await settle(cutovers.allUnfinished())).toEqual([begun])
    await settle(operations.finish('c-1', { result: null, error: null, at: '2026-01-01T00:00:09.000Z' }))
  })

  test('a cutover is closed once: who comes later changes nothing', async () => {
    const { records, settle } = await inSync()
    const { cutovers, moves, operations } = records
    await settle(operations.add(asked('c-1', { wave: 'all', claims: [] })))
    await settle(cutovers.begin(cutover('c-1')))
    const begun = await settle(cutovers.find('c-1'))
    if (!begun) throw new Error('It is not there.')
    await settle(cutovers.end(begun, { outcome: 'committed', pauseMs: 12 }))
    expect(await settle(moves.get('ledger'))).toMatchObject({ state: 'reversing' })
    await settle(operations.finish('c-1', { result: null, error: null, at: '2026-01-01T00:00:09.000Z' }))
    await settle(operations.add(asked('c-2', { wave: 'all', claims: [] })))
    const back = { ...cutover('c-2'), direction: 'reverse', moves: both('reversing') } as const
    await settle(cutovers.begin(back))
    await settle(cutovers.end(begun, { outcome: 'committed', pauseMs: 99 }))
    expect(await settle(moves.get('ledger'))).toMatchObject({ state: 'rolling-back' })
    expect(await settle(cutovers.find('c-1'))).toMatchObject({ outcome: 'committed', pauseMs: 12 })
    expect(await settle(cutovers.lastCommittedOfWave('all'))).toMatchObject({ id: 'c-1' })
    expect(await settle(cutovers.lastOfWave('all'))).toMatchObject({ id: 'c-2', outcome: null })
    expect(await settle(cutovers.last('orders'))).toMatchObject({ id: 'c-2' })
    const standing = await settle(cutovers.find('c-2'))
    if (standing) await settle(cutovers.end(standing, { outcome: 'aborted', pauseMs: null }))
    expect(await settle(moves.get('orders'))).toMatchObject({ state: 'reversing' })
    expect(await settle(cutovers.unfinished('orders'))).toBeUndefined()
  })

  test('a cutover that was lost is put back over whatever states are remembered', async () => {
    const { records, settle } = await opened()
    await settle(records.moves.pause('ledger', 'why', null))
    await settle(records.cutovers.restore(cutover('lost')))
    expect(await settle(records.moves.get('ledger'))).toMatchObject({
      state: 'cutting-over',
      shouldRun: true,
      paused: null,
    })
    expect(await settle(records.cutovers.find('lost'))).toMatchObject({ outcome: null })
  })

  test('steps stand in the order in which they began', async () => {
    const { records, settle } = await opened()
    const { journal } = records
    const step = (name: string) => ({ move: 'ledger', operation: 'one', name, description: name })
    const first = await settle(journal.started(step('first'), '2026-01-01T00:00:01.000Z'))
    const second = await settle(journal.started(step('second'), '2026-01-01T00:00:02.000Z'))
    await settle(journal.finished(second, 1.26, null))
    await settle(journal.finished(first, 3, 'internal'))
    await settle(journal.noted({ ...step('third'), operation: null }, '2026-01-01T00:00:03.000Z'))
    const ofMove = await settle(journal.ofMove('ledger'))
    expect(ofMove.map(({ step, state, ms, errorCode }) => [step, state, ms, errorCode])).toEqual([
      ['first', 'failed', 3, 'internal'],
      ['second', 'done', 1.3, null],
      ['third', 'done', 0, null],
    ])
    expect((await settle(journal.ofOperation('one'))).map(({ step }) => step)).toEqual(['first', 'second'])
    expect((await settle(journal.ofMove('ledger', 1))).map(({ step }) => step)).toEqual(['third'])
  })

  test('incidents are open until they are closed once; the audit log keeps its order', async () => {
    const { records, settle } = await opened()
    const { incidents, audit } = records
    const opening = { severity: 'severe', title: 'late', openedBy: 'me', openedAt: '2026-01-01T00:00:01.000Z' } as const
    const { id } = await settle(incidents.open(opening))
    expect(await settle(incidents.listOpen())).toEqual([{ id, ...opening }])
    const by = { actor: 'me', at: '2026-01-01T00:00:02.000Z' }
    await settle(incidents.close(id, by))
    await expect(settle(incidents.close(id, by))).rejects.toMatchObject({ code: 'incident.unknown' })
    expect(await settle(incidents.listOpen())).toEqual([])
    for (const detail of ['a', 'b', 'c']) {
      const entry = {
        at: '2026-01-01T00:00:01.000Z',
        actor: 'me',
        verb: 'start',
        move: 'ledger',
        outcome: 'asked',
      } as const
      await settle(audit.append({ ...entry, detail }))
    }
    expect((await settle(audit.list(2))).map(({ detail }) => detail)).toEqual(['b', 'c'])
  })

  test('the first decision of an id stands for everybody', async () => {
    const { decisions, settle } = await opened()
    expect(await settle(decisions.read('one'))).toBeUndefined()
    const first = { id: 'one', outcome: 'aborted', at: 'now' } as const
    expect(await settle(decisions.decide(first))).toEqual(first)
    expect(await settle(decisions.decide({ ...first, outcome: 'committed' }))).toEqual(first)
    expect(await settle(decisions.read('one'))).toEqual(first)
  })
})

function asked(id: string, { move = null, wave = null, claims }: Partial<NewOperation> & Pick<NewOperation, 'claims'>) {
  const said = { actor: 'me', reason: null, override: false, plan: [], startedAt: '2026-01-01T00:00:00.000Z' }
  return { id, verb: 'cutover', state: 'running', move, wave, claims, ...said } as const
}

function cutover(id: string) {
  const budget = { budgetMs: 2_000, predictedMs: null }
  return { id, direction: 'forward', turn: 1, wave: 'all', ...budget, moves: both('in-sync') } as const
}

function both(stateBefore: 'in-sync' | 'reversing') {
  return ['ledger', 'orders'].map((name) => ({ name, stateBefore }))
}
