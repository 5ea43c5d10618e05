/**
 * A backlog of very many messages crosses from RabbitMQ to RabbitMQ and to ActiveMQ, and the memory of the mover is
 * watched: it must not grow with the backlog. Every message is there afterwards, once.
 */
import { startActivemq } from '@replatform/testkit/activemq-server'
import { pollUntil } from '@replatform/testkit/poll-until'
import { type RabbitmqServer, startRabbitmq } from '@replatform/testkit/rabbitmq-server'
import { untilOnActivemq } from './activemq-clients.ts'
import { startOurs } from './bridge-process.ts'
import { fill, identified, untilThere } from './rabbitmq-clients.ts'
import type { SoakOptions } from './soak.ts'

const queue = 'backlog'
const rssMiBMost = 300
/** ActiveMQ stores some thousand messages a second. */
const activemqShare = 10

export async function soakMessaging({ messages, log }: SoakOptions): Promise<object> {
  await using source = await startRabbitmq()
  const toRabbitmq = await overToRabbitmq(source, messages, log)
  const toActivemq = await overToActivemq(source, Math.ceil(messages / activemqShare), log)
  for (const { rssMiB } of [toRabbitmq, toActivemq]) {
    if (rssMiB > rssMiBMost) throw new Error(`The mover took ${rssMiB} MiB`)
  }
  return { 'rabbitmq → rabbitmq': toRabbitmq, 'rabbitmq → activemq': toActivemq }
}

interface Figures {
  readonly messages: number
  readonly perSecond: number
  readonly rssMiB: number
}

async function overToRabbitmq(source: RabbitmqServer, messages: number, log: SoakOptions['log']): Promise<Figures> {
  await using target = await startRabbitmq()
  await makeBacklog(source, messages, log)
  await target.management.call('PUT', `queues/%2F/${queue}`, { durable: true })
  await using bridge = await startOurs({ source, target }, log)
  const startedAt = performance.now()
  const there = await untilThere(target, [queue], messages)
  const perSecond = rateOf(messages, startedAt)
  if (there !== messages) throw new Error(`${there} messages arrived of ${messages}`)
  await requireEmpty(source)
  return { messages, perSecond, ...(await bridge.end()) }
}

async function overToActivemq(source: RabbitmqServer, messages: number, log: SoakOptions['log']): Promise<Figures> {
  await using target = await startActivemq({ heapMb: 1_024 })
  await makeBacklog(source, messages, log)
  await using bridge = await startOurs({ source, target }, log)
  const startedAt = performance.now()
  await untilOnActivemq(target, queue, messages)
  const perSecond = rateOf(messages, startedAt)
  await requireEmpty(source)
  const there = (await target.statistics.queue(queue))?.size
  if (there !== messages) throw new Error(`${there} messages arrived of ${messages}`)
  return { messages, perSecond, ...(await bridge.end()) }
}

async function makeBacklog(source: RabbitmqServer, messages: number, log: SoakOptions['log']): Promise<void> {
  await source.management.call('DELETE', `queues/%2F/${queue}`).catch(() => {})
  await source.management.call('PUT', `queues/%2F/${queue}`, { durable: true })
  const rate = await fill(source, queue, messages, identified)
  log(`a backlog of ${messages} messages stands, published at ${Math.round(rate)} a second`)
}

/** The source has forgotten the last of them too. */
async function requireEmpty(source: RabbitmqServer): Promise<void> {
  await pollUntil('nothing is left on the source', async () => {
    const found = (await source.management.call('GET', `queues/%2F/${queue}`)) as { messages?: number }
    return found.messages === 0
  })
}

function rateOf(messages: number, startedAt: number): number {
  return Math.round((messages * 1_000) / (performance.now() - startedAt))
}
