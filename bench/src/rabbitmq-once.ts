/**
 * The bridge of RabbitMQ in a process of its own, as a mover runs it. Addresses come by environment; every queue of the
 * source is carried from the start on. Says `ready` when it begins to read and ends with its input.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { activemqRoute } from '@replatform/connector-activemq/route'
import { BridgeMover } from '@replatform/connector-rabbitmq/bridge-mover'
import { type RabbitmqPlan, renderPlan } from '@replatform/connector-rabbitmq/rabbitmq-plan'
import { rabbitmqRoute } from '@replatform/connector-rabbitmq/route'
import { invariant } from '@replatform/core/errors'

const targetKind = process.env.BENCH_TARGET_KIND === 'activemq' ? 'activemq' : 'rabbitmq'
const route = targetKind === 'activemq' ? activemqRoute : rabbitmqRoute
const log = { info() {}, warn() {}, error() {} }
const sides = {
  source: { kind: 'rabbitmq', url: process.env.BENCH_SOURCE_URL as string },
  target: { kind: targetKind, url: process.env.BENCH_TARGET_URL as string },
} as const
const folder = await mkdtemp(join(tmpdir(), 'bench-messaging-'))
const topology = join(folder, 'plan.yaml')
const common = { move: 'bench', direction: 'forward', ...sides, tools: {}, workers: 1, log } as const

async function writePlan(): Promise<void> {
  await using mover = route.open(common)
  invariant(mover instanceof BridgeMover, 'The route opens a bridge.')
  const plan = (await mover.proposeTopology()) as RabbitmqPlan
  const { BENCH_ORDER: order } = process.env
  const queues = plan.queues.map((queue) => ({ ...queue, carry: 'now' as const, ...(order ? { order } : {}) }))
  await writeFile(topology, renderPlan({ ...plan, queues: queues as typeof plan.queues }))
}

await writePlan()
{
  await using mover = route.open({ ...common, topology })
  await mover.prepare({ load: true })
  const abort = new AbortController()
  let rssBytes = 0
  const watch = setInterval(() => {
    rssBytes = Math.max(rssBytes, process.memoryUsage.rss())
  }, 50)
  process.stdin.resume()
  process.stdin.once('end', () => abort.abort())
  console.log('ready')
  await mover.follow({ signal: abort.signal, report: () => {}, throttle: async () => {} })
  clearInterval(watch)
  console.log(JSON.stringify({ rssMiB: Math.round(rssBytes / 1_048_576) }))
}
await rm(folder, { recursive: true })
