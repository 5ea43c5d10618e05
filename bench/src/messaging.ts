/**
 * RabbitMQ to RabbitMQ against RabbitMQ's own dynamic Shovel: draining a backlog of durable messages of one queue and of
 * eight, the rate of the target's own confirmed fill, and the delay at 1,000 messages a second. The fill has both cores for
 * one broker; what a bridge could reach at most between two is shown by a bare consumer and publisher. RabbitMQ to
 * ActiveMQ against producers of ActiveMQ that have nothing else to do.
 */
import { startActivemq } from '@replatform/testkit/activemq-server'
import { type RabbitmqServer, startRabbitmq } from '@replatform/testkit/rabbitmq-server'
import { fillActivemq, nameOf, type ProducerSetting, producerSettings, untilOnActivemq } from './activemq-clients.ts'
import { startBare, startOurs } from './bridge-process.ts'
import { type Benchmark, type BenchmarkOptions, contest, type Row } from './measure.ts'
import { bodyBytes, delays, fill, identified, percentile, startShovel, untilThere } from './rabbitmq-clients.ts'

const types = { classic: {}, quorum: { 'x-queue-type': 'quorum' } } as const
type QueueType = keyof typeof types

interface Pair {
  readonly source: RabbitmqServer
  readonly target: RabbitmqServer
  readonly profiles: string | undefined
  readonly log: BenchmarkOptions['log']
}

export const messaging: Benchmark = {
  title: "RabbitMQ drained against RabbitMQ's dynamic Shovel; --scale is thousands of messages ÷ 4 (50: 200,000)",
  async run({ runs, scale, profiles, log }: BenchmarkOptions) {
    await using source = await startRabbitmq()
    await using target = await startRabbitmq()
    const pair = { source, target, profiles, log }
    const count = scale * 4_000
    const prefetch = await bestPrefetch(pair, count / 4)
    const rows: Row[] = []
    for (const type of ['classic', 'quorum'] as const) {
      rows.push(await drain(pair, { type, queues: 1, count, prefetch }, runs))
      for (const who of ['ours', 'bare'] as const) rows.push(await againstFill(pair, { type, count, who }, runs))
    }
    rows.push(await drain(pair, { type: 'classic', queues: 8, count, prefetch }, runs))
    rows.push(await delay(pair, prefetch, runs))
    rows.push(...(await intoActivemq(source, { count: Math.min(count, 40_000), profiles, log }, runs)))
    const setting = `RabbitMQ 3.10.8 to 3.10.8 on the same machine, durable messages of ${bodyBytes} bytes, each confirmed; Shovel on-confirm with prefetch ${prefetch}, the best of 500, 1,000, 2,000 and 5,000. Rates count from the first message that arrived. Threads of the brokers do not spin while they wait. ActiveMQ 5.18 with a heap of 1 GB.`
    return { rows, setting }
  },
}

const orders = ['kept', 'loose'] as const

/**
 * Exactly once, with markers and ledger, against producers that have nothing to do but to send. Where the plan keeps
 * order the peer is one that keeps it as well, on one connection; where it does not, the fastest of all.
 */
export async function intoActivemq(
  source: RabbitmqServer,
  { count, profiles, log }: { readonly count: number } & Pick<BenchmarkOptions, 'profiles' | 'log'>,
  runs: number,
): Promise<Row[]> {
  await using target = await startActivemq({ heapMb: 1_024 })
  let fills = 0
  const filled = (setting: ProducerSetting, messages: number) =>
    fillActivemq(target, { queue: `fill.${fills++}`, count: messages, bytes: bodyBytes, setting })
  const found: { setting: ProducerSetting; rate: number }[] = []
  for (const setting of producerSettings) {
    const rate = await filled(setting, Math.ceil(count / 4))
    log(`bare producer of ActiveMQ, ${nameOf(setting)}: ${Math.round(rate)} messages/s`)
    found.push({ setting, rate })
  }
  let drains = 0
  const drained = async (order: (typeof orders)[number]) => {
    const queue = `activemq.${drains++}`
    await makeQueues(source, [queue], 'classic')
    await fill(source, queue, count, identified)
    await using _bridge = await startOurs({ source, target, order, profiles }, log)
    const before = await untilOnActivemq(target, queue, 1)
    const startedAt = performance.now()
    const after = await untilOnActivemq(target, queue, count)
    return ((after - before) * 1_000) / (performance.now() - startedAt)
  }
  const rows: Row[] = []
  for (const order of orders) {
    const able = found.filter(({ setting }) => order === 'loose' || setting.connections === 1)
    const [best] = able.toSorted((a, b) => b.rate - a.rate)
    if (!best) throw new Error('no setting was tried')
    const row = await contest(
      {
        work: `drain of ${count} into ActiveMQ, one classic queue, order ${order}`,
        unit: 'messages/s',
        peerName: `bare producer, ${nameOf(best.setting)}`,
        ours: () => drained(order),
        peer: () => filled(best.setting, count),
      },
      runs,
      log,
    )
    rows.push(row)
  }
  return rows
}

interface Work {
  readonly type: QueueType
  readonly queues: number
  readonly count: number
  readonly prefetch: number
}

function drain(pair: Pair, work: Work, runs: number): Promise<Row> {
  const names = namesOf(work)
  const ours = () => timed(pair, names, work, () => startOurs(pair, pair.log))
  const peer = () =>
    timed(pair, names, work, async () => {
      await using stack = new AsyncDisposableStack()
      for (const queue of names)
        stack.use(await startShovel(pair.source, pair.target, { queue, prefetch: work.prefetch }))
      const all = stack.move()
      return { [Symbol.asyncDispose]: () => all.disposeAsync() }
    })
  const title = work.queues === 1 ? `one ${work.type} queue` : `${work.queues} ${work.type} queues at once`
  return contest(
    { work: `drain of ${work.count}, ${title}`, unit: 'messages/s', peerName: 'Shovel', ours, peer },
    runs,
    pair.log,
  )
}

interface FillWork {
  readonly type: QueueType
  readonly count: number
  /** `bare`: what any bridge could reach on this machine, where the fill has both cores for one broker. */
  readonly who: 'ours' | 'bare'
}

function againstFill(pair: Pair, { type, count, who }: FillWork, runs: number): Promise<Row> {
  const work = { type, queues: 1, count, prefetch: 0 }
  const names = namesOf(work)
  const [queue = ''] = names
  const start = () => (who === 'ours' ? startOurs(pair, pair.log) : startBare(pair, queue, pair.log))
  const ours = () => timed(pair, names, work, start)
  const peer = async () => {
    await makeQueues(pair.target, names, type)
    return fill(pair.target, queue, count)
  }
  return contest(
    {
      work: `${who === 'ours' ? '' : 'bare consumer and publisher instead of ours, '}drain of ${count}, one ${type} queue`,
      unit: 'messages/s',
      peerName: "target's confirmed fill",
      ours,
      peer,
    },
    runs,
    pair.log,
  )
}

function delay(pair: Pair, prefetch: number, runs: number): Promise<Row> {
  const queue = 'delay'
  const measured = async (start: () => Promise<AsyncDisposable>) => {
    for (const server of [pair.source, pair.target]) await makeQueues(server, [queue], 'classic')
    await using _bridge = await start()
    const found = await delays({ from: pair.source, to: pair.target, queue, perSecond: 1_000, seconds: 10 })
    return percentile(found.slice(1_000), 0.99)
  }
  const ours = () => measured(() => startOurs(pair, pair.log))
  const peer = () => measured(() => startShovel(pair.source, pair.target, { queue, prefetch }))
  return contest(
    { work: 'producer to consumer at 1,000 messages/s, 99 % within', unit: 'ms', peerName: 'Shovel', ours, peer },
    runs,
    pair.log,
  )
}

async function timed(
  pair: Pair,
  names: readonly string[],
  { type, count }: Work,
  start: () => Promise<AsyncDisposable>,
): Promise<number> {
  for (const server of [pair.source, pair.target]) await makeQueues(server, names, type)
  for (const name of names) await fill(pair.source, name, count / names.length)
  const bridge = await start()
  await using _bridge = bridge
  // The rate at which messages flow: how long each takes to begin is not part of it.
  const before = await untilThere(pair.target, names, 1)
  const startedAt = performance.now()
  const after = await untilThere(pair.target, names, count)
  return ((after - before) * 1_000) / (performance.now() - startedAt)
}

async function bestPrefetch(pair: Pair, count: number): Promise<number> {
  const found: { prefetch: number; rate: number }[] = []
  const work = { type: 'classic', queues: 1, count, prefetch: 0 } as const
  for (const prefetch of [500, 1_000, 2_000, 5_000]) {
    const names = namesOf(work)
    const start = () => startShovel(pair.source, pair.target, { queue: names[0] as string, prefetch })
    const rate = await timed(pair, names, work, start)
    pair.log(`Shovel with prefetch ${prefetch}: ${Math.round(rate)} messages/s`)
    found.push({ prefetch, rate })
  }
  return found.toSorted((a, b) => b.rate - a.rate)[0]?.prefetch ?? 1_000
}

function namesOf({ type, queues }: Pick<Work, 'type' | 'queues'>): string[] {
  return Array.from({ length: queues }, (_, index) => `drain.${type}.${index}`)
}

/** No other queue is there, so that the bridge has nothing else to do. */
async function makeQueues(server: RabbitmqServer, names: readonly string[], type: QueueType): Promise<void> {
  const all = (await server.management.call('GET', 'queues/%2F')) as { name: string }[]
  for (const { name } of all) await server.management.call('DELETE', `queues/%2F/${encodeURIComponent(name)}`)
  for (const name of names) {
    await server.management.call('PUT', `queues/%2F/${name}`, { durable: true, arguments: types[type] })
  }
}
