/** Producers, consumers and the Shovel of the messaging benchmark. */
import { parseBrokerAddress } from '@replatform/connector-rabbitmq/address'
import { openAmqp } from '@replatform/connector-rabbitmq/amqp-connection'
import { shortText } from '@replatform/connector-rabbitmq/field-table'
import { writeProperties } from '@replatform/connector-rabbitmq/message-properties'
import { pollUntil } from '@replatform/testkit/poll-until'
import type { RabbitmqServer } from '@replatform/testkit/rabbitmq-server'

export const bodyBytes = 200
const window = 2_000
const durable = writeProperties({ deliveryMode: 2 })

/** With a message id each, as exactly-once needs it. */
export function identified(number: number): Buffer {
  return writeProperties({ deliveryMode: 2, messageId: `m-${number}` })
}

export function addressOf(server: RabbitmqServer): string {
  return `${server.url()}?management=${server.management.url}`
}

function open(server: RabbitmqServer, name: string) {
  return openAmqp({ address: parseBrokerAddress(addressOf(server)), side: 'source', name })
}

/** Publishes so many durable messages, each confirmed; answers messages a second. */
export async function fill(
  server: RabbitmqServer,
  queue: string,
  count: number,
  propertiesOf: (number: number) => Buffer = () => durable,
): Promise<number> {
  await using connection = await open(server, 'fills')
  const channel = await connection.openChannel()
  await channel.confirmSelect()
  const message = { exchange: shortText(''), routingKey: shortText(queue), mandatory: true }
  const body = Buffer.alloc(bodyBytes, 'x')
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const confirmed = new Set<number>()
  let [sent, low] = [0, 0]
  const more = () => {
    for (; sent < count && sent - low < window; sent++)
      channel.publish({ ...message, properties: propertiesOf(sent), body })
    if (low === count) resolve()
  }
  channel.listen({
    confirmed(tag, multiple) {
      for (let number = multiple ? low + 1 : tag; number <= tag; number++) confirmed.add(number)
      while (confirmed.delete(low + 1)) low++
      more()
    },
    failed: reject,
  })
  const startedAt = performance.now()
  more()
  await promise
  return (count * 1_000) / (performance.now() - startedAt)
}

/** Waits until the queues hold so many together; answers how many they hold then. */
export async function untilThere(server: RabbitmqServer, queues: readonly string[], count: number): Promise<number> {
  await using connection = await open(server, 'watches')
  const channel = await connection.openChannel()
  const all = async () => {
    let sum = 0
    for (const queue of queues) sum += (await channel.lookAt(queue)).ready
    return sum >= count ? sum : undefined
  }
  return await pollUntil(`${count} messages are there`, all, { withinMs: 600_000, everyMs: 10 })
}

/** Publishes at that rate on one side and consumes on the other; answers each message's time in milliseconds. */
export async function delays(options: {
  readonly from: RabbitmqServer
  readonly to: RabbitmqServer
  readonly queue: string
  readonly perSecond: number
  readonly seconds: number
}): Promise<number[]> {
  const { from, to, queue, perSecond, seconds } = options
  await using producing = await open(from, 'produces')
  await using consuming = await open(to, 'consumes')
  const producer = await producing.openChannel()
  const consumer = await consuming.openChannel()
  const count = perSecond * seconds
  const found: number[] = []
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  consumer.listen({
    delivery({ body, deliveryTag }) {
      found.push(performance.now() - body.readDoubleBE(0))
      consumer.ack(deliveryTag, false)
      if (found.length === count) resolve()
    },
    failed: reject,
  })
  await consumer.prefetch(500)
  await consumer.consume(queue, 'measures')
  const [exchange, routingKey] = [shortText(''), shortText(queue)]
  let sent = 0
  const startedAt = performance.now()
  const timer = setInterval(() => {
    const due = Math.min(count, ((performance.now() - startedAt) / 1_000) * perSecond)
    for (; sent < due; sent++) {
      const body = Buffer.alloc(bodyBytes)
      body.writeDoubleBE(performance.now())
      producer.publish({ exchange, routingKey, mandatory: true, properties: durable, body })
    }
    if (sent === count) clearInterval(timer)
  }, 1)
  await promise
  return found
}

export function percentile(figures: readonly number[], share: number): number {
  const sorted = figures.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

/** RabbitMQ's own bridge, on the target broker: acknowledges on confirmation. Ends when it is disposed of. */
export async function startShovel(
  source: RabbitmqServer,
  target: RabbitmqServer,
  { queue, prefetch }: { readonly queue: string; readonly prefetch: number },
): Promise<AsyncDisposable> {
  const path = `parameters/shovel/%2F/${encodeURIComponent(queue)}`
  await target.management.call('PUT', path, {
    value: {
      'src-protocol': 'amqp091',
      'src-uri': source.url(),
      'src-queue': queue,
      'src-prefetch-count': prefetch,
      'dest-protocol': 'amqp091',
      'dest-uri': target.url(),
      'dest-queue': queue,
      'dest-add-forward-headers': false,
      'ack-mode': 'on-confirm',
    },
  })
  return {
    async [Symbol.asyncDispose]() {
      await target.management.call('DELETE', path)
      await pollUntil('the shovel is gone', async () => {
        const all = (await target.management.call('GET', 'connections')) as {
          client_properties?: { product?: string }
        }[]
        return all.every(({ client_properties: client }) => !/shovel/i.test(JSON.stringify(client ?? {})))
      }).catch(() => {})
    },
  }
}
