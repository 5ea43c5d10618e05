/**
 * Goal: whoever is killed in the middle of a cutover, and wherever, exactly one side takes payments afterwards, the
 * move can go on, and no acknowledged payment is lost or doubled.
 * Method: real servers, PgBouncer and payments all the time; the worker, the mover or the command that waits is killed
 * with SIGKILL while the very step that is meant waits for a lock that the test holds. One move goes through all of it,
 * so that each death also meets what the ones before left behind.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { OperationVerb } from '@replatform/control/api-types'
import type { MoveState } from '@replatform/core/move'
import { pollUntil } from '@replatform/testkit/poll-until'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { CliProcess } from './test-fixtures/cli-process.ts'
import { move } from './test-fixtures/cli-rig.ts'
import { LockHolder } from './test-fixtures/lock-holder.ts'
import { PaymentsStage, type Place } from './test-fixtures/payments-stage.ts'

let stage: PaymentsStage
let worker: CliProcess

beforeAll(async () => {
  stage = await PaymentsStage.open()
  worker = await stage.rig.worker()
  expect(await perform('start')).toMatchObject({ state: 'done', error: null })
  await stage.rig.until('the move is in sync', ({ state }) => state === 'in-sync')
  await stage.paysOn()
})
afterAll(() => stage[Symbol.asyncDispose]())

/** Makes a step wait, begins the cutover, and resolves when the step has been reached. */
interface Point {
  readonly step: string
  readonly reach: (begin: () => Promise<unknown>) => Promise<AsyncDisposable>
}

const hold = (place: Place, sql: string) => LockHolder.hold({ url: stage.superuserUrl(place), sql, move })

async function reachBy(holding: Promise<LockHolder>, begin: () => Promise<unknown>): Promise<LockHolder> {
  const lock = await holding
  await begin()
  await lock.blocksSomebody()
  return lock
}

/** For what steps before the pause would wait for as well: takes the lock only once writes are held. */
async function reachInPause(place: Place, sql: string, begin: () => Promise<unknown>): Promise<LockHolder> {
  await using fence = await reachBy(hold('old', likeAWriter), begin)
  const lock = await hold(place, sql)
  await fence.release()
  await lock.blocksSomebody()
  return lock
}

/** Writers can hold this one beside each other, and the trigger of the fence cannot. */
const likeAWriter = 'LOCK TABLE payments IN ROW EXCLUSIVE MODE'
const returnFlow = `SELECT FROM replatform.flow WHERE direction = 'reverse' FOR UPDATE`
const fenceRow = 'SELECT FROM replatform.fence FOR UPDATE'

const beforeTheDecision: readonly Point[] = [
  {
    step: 'prepare-return, while the slot of the way back waits for a transaction',
    reach: (begin) => reachBy(hold('new', 'SELECT txid_current()'), begin),
  },
  {
    step: 'hold, while a transaction is open',
    reach: async (begin) => {
      const client = await stage.openTransaction()
      await begin()
      await pollUntil('new transactions are held', async () => (await stage.pooler()).isPaused)
      return client
    },
  },
  { step: 'fence, with the door closed already', reach: (begin) => reachBy(hold('old', likeAWriter), begin) },
  {
    step: 'drain, with a payment that has not crossed',
    reach: async (begin) => {
      await using writer = await reachBy(hold('old', likeAWriter), begin)
      const lock = await hold('new', 'LOCK TABLE payments IN SHARE ROW EXCLUSIVE MODE')
      await stage.payLast(writer)
      await lock.blocksSomebody()
      await pollUntil('the old side is fenced', async () => (await stage.fenceState('old')) === 'fenced')
      return lock
    },
  },
  {
    step: 'settle',
    reach: (begin) => reachInPause('new', 'ALTER SEQUENCE payments_id_seq CACHE 1', begin),
  },
  {
    step: 'mark-return',
    reach: (begin) => reachBy(hold('old', returnFlow), begin),
  },
]

const afterTheDecision: readonly Point[] = [
  {
    step: 'record-decision',
    reach: (begin) => reachBy(hold('new', 'LOCK TABLE replatform.decision IN EXCLUSIVE MODE'), begin),
  },
  { step: 'unfence', reach: (begin) => reachInPause('new', fenceRow, begin) },
  {
    step: 'point, with the file written and not read yet',
    reach: async (begin) => {
      await using lock = await reachInPause('new', fenceRow, begin)
      const frozen = stage.freezePooler()
      await lock.release()
      const port = `port=${stage.server('new').port}`
      await pollUntil('the file is written', async () =>
        (await readFile(stage.pgbouncer.configFile, 'utf8')).includes(port),
      )
      return frozen
    },
  },
  {
    step: 'end-flow, with payments on the new side already',
    reach: (begin) =>
      reachInPause('old', `COMMENT ON PUBLICATION replatform_${move}_forward IS 'held by a test'`, begin),
  },
]

describe('the worker is killed before the decision', () => {
  test.each(beforeTheDecision)('in $step: the next one aborts, and payments go on at the old side', async (point) => {
    // What is held stays held: an abort may wait for nothing that made the cutover wait.
    await using reached = await killWorkerAt(point, 'cutover')
    expect(await committed()).not.toContain(reached.id)
    await restartWorker()
    expect(await ended(reached.id)).toMatchObject({ state: 'failed', error: { code: 'cutover.aborted' } })
    await reached.release()
    await followsAgain('in-sync')
    await stage.expectOpen('old')
  })
})

describe('the worker is killed after the decision', () => {
  test.each(afterTheDecision)('in $step: the next one goes forward', async (point) => {
    await using reached = await killWorkerAt(point, 'cutover')
    expect(await committed()).toContain(reached.id)
    await reached.release()
    await restartWorker()
    expect(await ended(reached.id)).toMatchObject({ state: 'done', result: { cutover: { outcome: 'committed' } } })
    await stage.expectOpen('new')
    await followsAgain('reversing')
    expect(await perform('rollback')).toMatchObject({ state: 'done' })
    await stage.expectOpen('old')
    await followsAgain('rolled-back')
  })
})

describe('other deaths', () => {
  test('the mover in the middle of the fence: aborted, and its last statement fences nobody any more', async () => {
    await using lock = await hold('old', likeAWriter)
    const { id } = await ask('cutover')
    await lock.blocksSomebody()
    await killMover()
    expect(await ended(id)).toMatchObject({ state: 'failed', error: { code: 'mover.crashed' } })
    await lock.release()
    await followsAgain('rolled-back')
    await stage.expectOpen('old')
  })

  test('the mover after the decision: another one goes forward', async () => {
    await using lock = await hold('new', 'LOCK TABLE replatform.decision IN EXCLUSIVE MODE')
    const { id } = await ask('cutover')
    await lock.blocksSomebody()
    await killMover()
    await lock.release()
    expect(await ended(id)).toMatchObject({ state: 'done' })
    await stage.expectOpen('new')
    await followsAgain('reversing')
  })

  test('the worker in the middle of a rollback, before its decision: payments stay where they were', async () => {
    await using lock = await hold('new', likeAWriter)
    const { id } = await ask('rollback')
    await lock.blocksSomebody()
    await worker.kill()
    await restartWorker()
    expect(await ended(id)).toMatchObject({ state: 'failed', error: { code: 'cutover.aborted' } })
    await lock.release()
    await stage.expectOpen('new')
    await followsAgain('reversing')
  })

  test('the worker in the middle of a rollback, after its decision: the old side is open in the end', async () => {
    await using lock = await hold('old', 'LOCK TABLE replatform.decision IN EXCLUSIVE MODE')
    const { id } = await ask('rollback')
    await lock.blocksSomebody()
    await worker.kill()
    await lock.release()
    await restartWorker()
    expect(await ended(id)).toMatchObject({ state: 'done' })
    await stage.expectOpen('old')
    await followsAgain('rolled-back')
  })

  test('the command that waits: the worker goes on with what it was asked', async () => {
    await using lock = await hold('new', 'LOCK TABLE replatform.decision IN EXCLUSIVE MODE')
    const command = stage.rig.spawn('cutover', move)
    await lock.blocksSomebody()
    await command.kill()
    await lock.release()
    await followsAgain('reversing')
    expect((await stage.rig.status()).lastCutover).toMatchObject({ outcome: 'committed' })
    await stage.expectOpen('new')
  })
})

test('after all of it each acknowledged payment stands exactly once, and both sides are equal', async () => {
  await stage.expectNothingLost()
})

/** Where a process was killed; what made the step wait is still held. */
interface Reached extends AsyncDisposable {
  readonly id: string
  release(): Promise<void>
}

async function killWorkerAt({ reach }: Point, verb: OperationVerb): Promise<Reached> {
  let id = ''
  const held = await reach(async () => {
    id = (await ask(verb)).id
  })
  await worker.kill()
  return {
    id,
    release: async () => held[Symbol.asyncDispose](),
    [Symbol.asyncDispose]: () => held[Symbol.asyncDispose](),
  }
}

async function killMover(): Promise<void> {
  const { mover } = await stage.rig.status()
  process.kill(mover?.pid ?? Number.NaN, 'SIGKILL')
}

async function restartWorker(): Promise<void> {
  worker = await stage.rig.worker()
}

function ask(verb: OperationVerb) {
  return stage.rig.client.ask(verb, move, { actor: 'test@rig' })
}

async function perform(verb: OperationVerb) {
  return ended((await ask(verb)).id)
}

function ended(id: string) {
  return pollUntil('the operation ends', async () => {
    const operation = await stage.rig.client.operation(id)
    return operation.state === 'running' ? undefined : operation
  })
}

/** In that state, and applying what is paid now. */
async function followsAgain(state: MoveState): Promise<void> {
  await stage.rig.until(`the move is ${state} and follows`, (status) => {
    return status.state === state && status.paused === null && status.follow !== null && status.follow.rows > 0
  })
}

/** Ids of the cutovers whose record says that they are decided for. */
async function committed(): Promise<string[]> {
  const folder = join(stage.rig.stateDirectory, 'decisions')
  const names = (await readdir(folder)).filter((name) => name.endsWith('.json'))
  const decisions = await Promise.all(names.map(async (name) => JSON.parse(await readFile(join(folder, name), 'utf8'))))
  return decisions.filter(({ outcome }) => outcome === 'committed').map(({ id }) => id)
}
