/**
 * Goal: a whole cutover, an abort and a rollback by the engine's own coordinator, with an application that publishes
 * and one that consumes until they are cut off: nothing confirmed is lost, and only redeliveries come twice.
 */
import { flipSides } from '@replatform/testkit/flip-sides'
import { pollUntil } from '@replatform/testkit/poll-until'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type BrokerRig, startBrokerRig, TestMove } from './test-fixtures/broker-rig.ts'
import { Traffic } from './test-fixtures/traffic.ts'

let rig: BrokerRig

beforeAll(async () => {
  rig = await startBrokerRig()
}, 120_000)
afterAll(() => rig[Symbol.asyncDispose]())

const state = 'planned' as const

test('over, back and over again under traffic: every confirmed message is consumed, in order', async () => {
  const move = await TestMove.create(rig, 'wave')
  await move.declareQueue('old', 'payments')
  await move.declareQueue('old', 'settled', { 'x-queue-type': 'quorum' })
  await using mover = await move.startMover()
  void mover.client.call('run', { direction: 'forward', state }).catch(() => {})
  await mover.waitFor((event) => event.event === 'follow')
  await using traffic = new Traffic(move, ['payments', 'settled'])
  await traffic.runOn('old')
  await traffic.untilConsumed(200)

  const over = await flipSides({ mover, direction: 'forward' })
  expect(over.error).toBeNull()
  expect(over.decision.outcome).toBe('committed')
  await expect(move.connect('old')).rejects.toThrow(/ACCESS_REFUSED|access.*refused/i)
  void mover.client.call('run', { direction: 'reverse', state: 'reversing' }).catch(() => {})
  await traffic.runOn('next')
  await traffic.untilConsumed(200)

  const back = await flipSides({ mover, direction: 'reverse' })
  expect(back.error).toBeNull()
  expect(back.decision.outcome).toBe('committed')
  await traffic.runOn('old')
  await traffic.untilConsumed(200)
  await traffic.stop()
  await traffic.consumeRest('old')
  expect(traffic.verdict()).toEqual({ lost: [], repeatedUnexpectedly: [], disordered: [] })

  await mover.client.call('cleanUp', { direction: 'reverse', scope: 'everything' })
  for (const side of ['old', 'next'] as const) {
    const users = (await rig[side].management.call('GET', 'users')) as { name: string }[]
    expect(users.filter(({ name }) => name.startsWith('replatform.wave'))).toEqual([])
    const exchanges = (await move.call(side, 'GET', 'exchanges/{vhost}')) as { name: string }[]
    expect(exchanges.filter(({ name }) => name.startsWith('replatform'))).toEqual([])
  }
})

test('an aborted cutover brings back what had crossed, and the source goes on', async () => {
  const move = await TestMove.create(rig, 'abort')
  await move.declareQueue('old', 'payments')
  await using app = await move.connect('old')
  await app.publish('payments', ['one', 'two', 'three'])
  await using mover = await move.startMover()
  void mover.client.call('run', { direction: 'forward', state }).catch(() => {})
  await mover.waitFor((event) => event.event === 'follow')
  const failing = async () => {
    throw new Error('the comparison fails')
  }
  const { decision } = await flipSides({
    mover,
    direction: 'forward',
    overrides: { raiseEpoch: failing },
  })
  expect(decision.outcome).toBe('aborted')
  void mover.client.call('run', { direction: 'forward', state: 'in-sync' }).catch(() => {})
  await using again = await move.connect('old')
  await pollUntil('all are back', async () => (await again.depth('payments')) === 3)
  expect((await again.drain('payments')).map(({ body }) => body)).toEqual(['one', 'two', 'three'])
  await expect(move.connect('next')).rejects.toThrow()
})

test('a bridge that is killed in the middle of a cutover leaves everything on the source', async () => {
  const move = await TestMove.create(rig, 'killed')
  await move.declareQueue('old', 'payments')
  await using app = await move.connect('old')
  const bodies = Array.from({ length: 2_000 }, (_, index) => String(index))
  await app.publish('payments', bodies)
  {
    await using mover = await move.startMover()
    void mover.client.call('run', { direction: 'forward', state }).catch(() => {})
    await mover.waitFor((event) => event.event === 'follow')
    await mover.client.call('fence', { direction: 'forward', side: 'source', withinMs: 20_000, turn: 1 })
    await using judge = await move.connect('old', 'rig')
    await pollUntil('the drain has begun', async () => (await judge.depth('payments')) < bodies.length)
    await mover.kill()
  }
  await using mover = await move.startMover()
  await mover.client.call('unfence', { direction: 'forward', side: 'source', turn: 1 })
  void mover.client.call('run', { direction: 'forward', state: 'in-sync' }).catch(() => {})
  await using again = await move.connect('old')
  const received: string[] = []
  await pollUntil('everything is back', async () => {
    received.push(...(await again.drain('payments')).map(({ body }) => body))
    return new Set(received).size === bodies.length
  })
})

test('the fence ends a channel that is busy and one that was opened a moment ago, and holds over a restart', async () => {
  const move = await TestMove.create(rig, 'fence')
  await move.declareQueue('old', 'payments')
  await using mover = move.createMover()
  await mover.prepare({ load: true })
  await using busy = await move.connect('old')
  await busy.channel.confirmSelect()
  let confirmed = 0
  const publishing = (async () => {
    for (;;) {
      await busy.channel.basicPublish('', 'payments', `${confirmed + 1}`, { deliveryMode: 2 })
      confirmed++
    }
  })()
  publishing.catch(() => {})
  await pollUntil('it is busy', () => confirmed > 50)
  await using late = await move.connect('old')
  await mover.fence('source', { withinMs: 20_000, turn: 1 })
  await expect(publishing).rejects.toThrow()
  await pollUntil('both noticed', () => !busy.isOpen && !late.isOpen)
  const fencedAt = confirmed
  await expect(move.connect('old')).rejects.toThrow()
  await mover.barrier()
  await rig.old.restart()
  await expect(move.connect('old')).rejects.toThrow()
  await using judge = await move.connect('old', 'rig')
  expect((await judge.drain('payments')).length).toBeGreaterThanOrEqual(fencedAt)
  await mover.unfence('source', { turn: 1 })
  await using back = await move.connect('old')
  await back.publish('payments', ['again'])
})
