/**
 * Goal: whatever is killed under load (the bridge, either broker, a link), no confirmed message is lost, order holds
 * for everything that came once, and what comes twice is within what the ledger calls perhaps repeated.
 */
import { pollUntil } from '@replatform/testkit/poll-until'
import { startTcpProxy, type TcpProxy } from '@replatform/testkit/tcp-proxy'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { RabbitmqBroker } from './rabbitmq-broker.ts'
import { type BrokerRig, moverUrl, startBrokerRig, TestMove } from './test-fixtures/broker-rig.ts'
import { CountingProducer } from './test-fixtures/counting-producer.ts'

let rig: BrokerRig
const proxies: { old?: TcpProxy; next?: TcpProxy } = {}

beforeAll(async () => {
  rig = await startBrokerRig()
  proxies.old = await startTcpProxy(rig.old)
  proxies.next = await startTcpProxy(rig.next)
}, 120_000)
afterAll(async () => {
  await proxies.old?.[Symbol.asyncDispose]()
  await proxies.next?.[Symbol.asyncDispose]()
  await rig[Symbol.asyncDispose]()
})

/** Data by way of the proxies; the management API directly. */
function proxied(move: TestMove) {
  const { old, next } = proxies as { old: TcpProxy; next: TcpProxy }
  return { old: old.url(moverUrl(rig.old, move.name)), next: next.url(moverUrl(rig.next, move.name)) }
}

const faults: Record<string, (restart: () => Promise<void>) => Promise<void>> = {
  'the bridge': (restart) => restart(),
  'the link to the source': async () => proxies.old?.cut(),
  'the link to the target': async () => proxies.next?.cut(),
  'the source broker': async () => {
    await rig.old.kill()
    await rig.old.restart()
  },
  'the target broker': async () => {
    await rig.next.kill()
    await rig.next.restart()
  },
}

test('nothing is lost, whatever is killed', { timeout: 400_000 }, async () => {
  const move = await TestMove.create(rig, 'kill')
  await move.declareQueue('old', 'payments')
  await move.declareQueue('old', 'risk', { 'x-queue-type': 'quorum' })
  await move.editPlan((plan) => {
    for (const queue of plan.queues) queue.carry = 'now'
  })
  await using bridge = new RestartingBridge(move)
  await bridge.start('planned')
  const producers = ['payments', 'risk'].map((queue) => new CountingProducer(move, queue))
  const producing = producers.map((producer) => producer.run())

  for (const [name, inject] of Object.entries(faults)) {
    const goal = producers.map(({ confirmed }) => confirmed.length + 300)
    await pollUntil(
      `traffic before ${name} is killed`,
      () => producers.every(({ confirmed }, index) => confirmed.length >= (goal[index] as number)),
      { withinMs: 90_000 },
    )
    // A fault that meets a bridge that is only starting would try nothing.
    await pollUntil(`the bridge carries before ${name} is killed`, () => bridge.isCarrying, { withinMs: 90_000 })
    await inject(() => bridge.kill())
  }
  const goal = producers.map(({ confirmed }) => confirmed.length + 300)
  await pollUntil(
    'traffic afterwards',
    () => producers.every(({ confirmed }, index) => confirmed.length >= (goal[index] as number)),
    { withinMs: 90_000 },
  )
  for (const producer of producers) producer.stop()
  await Promise.all(producing)

  await using onOld = await move.connect('old', 'rig')
  await using onNext = await move.connect('next', 'rig')
  await pollUntil(
    'all have crossed',
    async () => {
      if (bridge.failure) throw bridge.failure
      const left = (await onOld.depth('payments')) + (await onOld.depth('risk'))
      return left === 0 && bridge.lagBytes === 0
    },
    { withinMs: 150_000 },
  )
  await bridge.stop()

  await using next = new RabbitmqBroker({ move: move.name, side: 'target', url: move.url('next') })
  const ledger = new Map((await next.readLedger()).map((entry) => [entry.queue, entry]))
  for (const { queue, confirmed } of producers) {
    const received = (await onNext.drain(queue)).map(({ body }) => Number(body))
    const once = new Set(received)
    expect(confirmed.filter((number) => !once.has(number))).toEqual([])
    const entry = ledger.get(queue)
    // A publisher that is not sure publishes another number, so all repeats are ours.
    expect(received.length - once.size).toBeLessThanOrEqual(entry?.perhapsRepeated ?? 0)
    expect(entry?.carried).toBeGreaterThanOrEqual(once.size)
    expect(entry?.carried).toBeLessThanOrEqual(received.length)
    if (queue === 'payments') expect([...once]).toEqual([...once].toSorted((a, b) => a - b))
  }
})

/** As the worker does it: a mover that ended with an error that will pass is started again. */
class RestartingBridge implements AsyncDisposable {
  readonly #move: TestMove
  #mover: Awaited<ReturnType<TestMove['startMover']>> | null = null
  #running: Promise<void> = Promise.resolve()
  #isStopped = false
  /** With which a worker would have paused the move. */
  failure: unknown = null

  constructor(move: TestMove) {
    this.#move = move
  }

  get lagBytes(): number {
    const last = this.#mover?.events.findLast((event) => event.event === 'follow')
    return last?.event === 'follow' ? last.progress.lagBytes : -1
  }

  get isCarrying(): boolean {
    if (this.failure) throw this.failure
    return this.#mover?.events.some((event) => event.event === 'follow' && event.progress.rows > 0) ?? false
  }

  async start(state: 'planned' | 'in-sync'): Promise<void> {
    this.#mover = await this.#move.startMover(proxied(this.#move))
    const mover = this.#mover
    this.#running = mover.client.call('run', { direction: 'forward', state }).then(
      () => {},
      async (error) => {
        if (this.#mover === mover) this.#mover = null
        await mover[Symbol.asyncDispose]()
        if (this.#isStopped) return
        if (error.retry && error.retry !== 'retry') this.failure = error
        else await this.start('in-sync')
      },
    )
    this.#running.catch(() => {})
  }

  async kill(): Promise<void> {
    const mover = this.#mover
    this.#mover = null
    await mover?.kill()
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#mover?.client.call('stop', {})
    await this.#running
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true
    await this.#mover?.[Symbol.asyncDispose]()
    await this.#running.catch(() => {})
  }
}
