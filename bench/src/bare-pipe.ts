/**
 * What a bridge could reach at most on this machine: one consumer and one publisher, and nothing between them. No ledger,
 * no digests, no epoch, no tap; acknowledged in the order of confirmation. Addresses and queue come by environment; says
 * `ready` when it begins and ends with its input.
 */
import { parseBrokerAddress } from '@replatform/connector-rabbitmq/address'
import { openAmqp } from '@replatform/connector-rabbitmq/amqp-connection'
import { shortText } from '@replatform/connector-rabbitmq/field-table'

const { BENCH_SOURCE_URL = '', BENCH_TARGET_URL = '', BENCH_QUEUE = '', BENCH_PREFETCH = '2000' } = process.env
const acknowledgeEvery = 250

await using from = await openAmqp({ address: parseBrokerAddress(BENCH_SOURCE_URL), side: 'source', name: 'bare reads' })
await using to = await openAmqp({ address: parseBrokerAddress(BENCH_TARGET_URL), side: 'target', name: 'bare writes' })
const reader = await from.openChannel()
const writer = await to.openChannel()
await writer.confirmSelect()
await reader.prefetch(Number(BENCH_PREFETCH))
const [exchange, routingKey] = [shortText(''), shortText(BENCH_QUEUE)]
const confirmed = new Set<number>()
let [low, acknowledged] = [0, 0]
const acknowledge = () => {
  if (low > acknowledged) reader.ack(low, true)
  acknowledged = low
}
writer.listen({
  confirmed(tag, multiple) {
    for (let number = multiple ? low + 1 : tag; number <= tag; number++) confirmed.add(number)
    while (confirmed.delete(low + 1)) low++
    if (low - acknowledged >= acknowledgeEvery) acknowledge()
  },
})
reader.listen({
  delivery({ contentFrames, properties, body }) {
    const to = { exchange, routingKey, mandatory: false }
    if (!contentFrames || !writer.publishFrames(to, contentFrames)) writer.publish({ ...to, properties, body })
  },
})
const idle = setInterval(acknowledge, 20)
const ended = new Promise((resolve) => process.stdin.resume().once('end', resolve))
console.log('ready')
await reader.consume(BENCH_QUEUE, 'bare')
await ended
clearInterval(idle)
console.log(JSON.stringify({ rssMiB: Math.round(process.memoryUsage.rss() / 1_048_576) }))
