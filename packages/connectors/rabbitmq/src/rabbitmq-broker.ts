/** RabbitMQ as either side of a bridge: reading, writing, fence, epoch and ledger of one virtual host. */
import { hash } from 'node:crypto'
import type { Decision, Log } from '@replatform/core/connector'
import { invariant } from '@replatform/core/errors'
import type { FenceLimits } from '@replatform/core/fence-order'
import type { Side } from '@replatform/core/move'
import { type BrokerAddress, parseBrokerAddress } from './address.ts'
import type { AmqpChannel } from './amqp-channel.ts'
import { type AmqpConnection, openAmqp } from './amqp-connection.ts'
import { isNoQueue } from './amqp-error.ts'
import { type FencePlace, fenceVhost, isVhostFenced, requireVhostFenced, unfenceVhost } from './broker-fence.ts'
import type {
  Broker,
  Ledger,
  LedgerEntry,
  QueueFacts,
  QueueReading,
  ReadOptions,
  SourceRun,
  TapResult,
} from './brokers.ts'
import { ControlParameters } from './control-parameters.ts'
import { type Definitions, parseDefinitions } from './definitions.ts'
import { isEpochUser, readEpoch, removeEpochUsers, takeEpoch } from './epoch-user.ts'
import { ManagementApi, segment } from './management-api.ts'
import type { MessageSink, SinkEvents } from './message-sink.ts'
import { readQueueFacts } from './queue-facts.ts'
import { ledgerQueue, openLedger, readLedger } from './queue-ledger.ts'
import type { QueuePlan } from './queue-plan.ts'
import { readQueue } from './queue-reader.ts'
import { openRabbitmqSink } from './rabbitmq-sink.ts'
import { type SinkTap, TapReader } from './tap-reader.ts'

export interface RabbitmqBrokerOptions {
  readonly move: string
  readonly side: Side
  readonly url: string
  readonly log?: Log
}

export class RabbitmqBroker implements Broker {
  readonly address: BrokerAddress
  readonly api: ManagementApi
  readonly parameters: ControlParameters
  readonly #move: string
  readonly #side: Side
  readonly #log: Log | undefined
  /** With the epoch's own user, once it is taken. */
  #epochAddress: BrokerAddress | null = null
  #tapReader: Promise<TapReader> | null = null
  #watching: Promise<AmqpConnection> | null = null

  constructor({ move, side, url, log }: RabbitmqBrokerOptions) {
    this.#log = log
    this.address = parseBrokerAddress(url)
    const login = async () => {
      const name = `replatform ${move} logs in`
      await using _connection = await openAmqp({ address: this.address, side, name })
    }
    this.api = new ManagementApi({ address: this.address, side, login })
    this.parameters = new ControlParameters(this.api, move)
    this.#move = move
    this.#side = side
  }

  async definitions(): Promise<Definitions> {
    return parseDefinitions(await this.api.get('definitions'), this.address.vhost)
  }

  /** Null where the virtual host is not there yet. */
  async find(): Promise<Definitions | null> {
    const found = await this.definitions()
    return found.vhosts.includes(this.address.vhost) ? found : null
  }

  facts(): Promise<QueueFacts[]> {
    return readQueueFacts(this.api, this.address.vhost)
  }

  /** The management API tells how long each node has run. */
  async run(): Promise<SourceRun> {
    const nodes = await this.api.get<{ name: string; running?: boolean; uptime?: number }[]>(
      'nodes?columns=name,running,uptime',
    )
    const running = nodes.filter(({ running, uptime }) => running !== false && uptime !== undefined)
    return Object.fromEntries(running.map(({ name, uptime = 0 }) => [name, Math.round((Date.now() - uptime) / 1_000)]))
  }

  readEpoch(): Promise<number> {
    return readEpoch(this.#epochPlace)
  }

  async takeEpoch(epoch: number): Promise<void> {
    const own = `^${escaped(this.#ownPrefix)}`
    await this.#tapReader?.then((reader) => reader[Symbol.asyncDispose]()).catch(() => {})
    this.#tapReader = null
    this.#epochAddress = await takeEpoch(this.#epochPlace, epoch, { configure: '^$', write: own, read: '.*' })
  }

  async read(options: ReadOptions): Promise<QueueReading> {
    const connection = await this.#open(`reads ${options.queue}`)
    return orDestroy(connection, () => readQueue(connection, options))
  }

  async depths(queues: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const depths = new Map<string, number>()
    let channel = await this.#watch()
    for (const queue of queues) {
      try {
        depths.set(queue, (await channel.lookAt(queue)).ready)
      } catch (thrown) {
        if (!isNoQueue(thrown)) throw thrown
        // It lapsed or was deleted: nothing is in it. The question has cost its channel.
        depths.set(queue, 0)
        channel = await this.#watch()
      }
    }
    await channel.close()
    return depths
  }

  async #watch(): Promise<AmqpChannel> {
    this.#watching ??= openAmqp({ address: this.address, side: this.#side, name: `replatform ${this.#move} watches` })
    try {
      return await (await this.#watching).openChannel()
    } catch (thrown) {
      this.#watching = null
      throw thrown
    }
  }

  async openSink({
    queue,
    address,
    events,
  }: {
    queue: QueuePlan
    address: string
    events: SinkEvents
  }): Promise<MessageSink> {
    const exchange = await this.#ownExchange(address)
    const tap = queue.tap === undefined ? null : await this.#tapOf(queue.name, address, queue.tap)
    const connection = await this.#open(`writes ${address}`)
    return orDestroy(connection, () => openRabbitmqSink({ connection, exchange, tap, events }))
  }

  async openLedger(): Promise<Ledger> {
    await this.#declareLedger()
    const connection = await this.#open('keeps the ledger')
    return orDestroy(connection, () => openLedger(connection, this.#ownPrefix))
  }

  async readLedger(): Promise<LedgerEntry[]> {
    await this.#declareLedger()
    await using connection = await openAmqp({
      address: this.address,
      side: this.#side,
      name: `replatform ${this.#move} reads its ledger`,
    })
    return await readLedger(connection, this.#ownPrefix)
  }

  async tapped({ withinMs }: { readonly withinMs: number }): Promise<ReadonlyMap<string, TapResult>> {
    const reader = await this.#tapReader
    await reader?.tap.settle(withinMs)
    return reader?.tap.results ?? new Map()
  }

  async recordDecision({ id, outcome, at }: Decision): Promise<void> {
    await this.parameters.write(`decision.${id}`, { outcome, at })
  }

  fence(limits: FenceLimits): Promise<void> {
    return fenceVhost(this.fencePlace, limits)
  }

  unfence(turn: Pick<FenceLimits, 'turn'>): Promise<void> {
    return unfenceVhost(this.fencePlace, turn)
  }

  isFenced(): Promise<boolean> {
    return isVhostFenced(this.fencePlace)
  }

  requireFenced(): Promise<void> {
    return requireVhostFenced(this.fencePlace)
  }

  get fencePlace(): FencePlace {
    const { api, parameters } = this
    const { user, vhost } = this.address
    const isOurs = (name: string) => name === user || isEpochUser(name, this.#move)
    return { api, parameters, vhost, isOurs, ...(this.#log ? { log: this.#log } : {}) }
  }

  async cleanUp(): Promise<void> {
    await removeEpochUsers(this.#epochPlace)
    const vhost = segment(this.address.vhost)
    for (const kind of ['exchanges', 'queues']) {
      const all = await this.api.get<{ name: string }[]>(`${kind}/${vhost}?columns=name`)
      const ours = all.filter(({ name }) => name.startsWith(this.#ownPrefix))
      for (const { name } of ours) await this.api.remove(`${kind}/${vhost}/${segment(name)}`)
    }
    const isFenced = await this.isFenced()
    const isKept = (name: string) => isFenced && (name === 'fence' || name === 'turn')
    for (const name of await this.parameters.names()) if (!isKept(name)) await this.parameters.remove(name)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tapReader?.then((reader) => reader[Symbol.asyncDispose]()).catch(() => {})
    await this.#watching?.then((connection) => connection[Symbol.asyncDispose]()).catch(() => {})
    await this.api[Symbol.asyncDispose]()
  }

  get #ownPrefix(): string {
    return `replatform.${this.#move}.`
  }

  get #epochPlace() {
    return { api: this.api, address: this.address, move: this.#move }
  }

  async #open(purpose: string): Promise<AmqpConnection> {
    invariant(this.#epochAddress, 'An epoch is taken before the bridge opens.')
    const name = `replatform ${this.#move} ${purpose}`
    return openAmqp({ address: this.#epochAddress, side: this.#side, name })
  }

  async #tapOf(name: string, address: string, every: number): Promise<SinkTap> {
    this.#tapReader ??= this.#openTap().catch((thrown) => {
      this.#tapReader = null
      throw thrown
    })
    const reader = await this.#tapReader
    const exchange = await this.#ownExchange(address, `${this.#ownPrefix}tapped.`)
    const vhost = segment(this.address.vhost)
    await this.api.post(`bindings/${vhost}/e/${segment(exchange)}/q/${segment(this.#tapQueue)}`, { routing_key: '' })
    reader.tap.forget(exchange)
    return reader.of(exchange, name, every)
  }

  /** What an earlier mover had copied says nothing any more. */
  async #openTap(): Promise<TapReader> {
    const path = `queues/${segment(this.address.vhost)}/${segment(this.#tapQueue)}`
    await this.api.remove(path)
    await this.api.put(path, { durable: true })
    const connection = await this.#open('reads copies')
    return orDestroy(connection, () => TapReader.open(connection, this.#tapQueue))
  }

  get #tapQueue(): string {
    return `${this.#ownPrefix}tap`
  }

  /** Names of queues are anybody's: a queue `ledger` must not meet our own. */
  async #ownExchange(queue: string, prefix = `${this.#ownPrefix}to.`): Promise<string> {
    const vhost = segment(this.address.vhost)
    const plain = `${prefix}${queue}`
    const isShort = Buffer.byteLength(plain) <= 255
    const exchange = isShort ? plain : `${prefix}${hash('sha256', queue).slice(0, 32)}`
    await this.api.put(`exchanges/${vhost}/${segment(exchange)}`, { type: 'fanout', durable: true })
    await this.api.post(`bindings/${vhost}/e/${segment(exchange)}/q/${segment(queue)}`, { routing_key: '' })
    return exchange
  }

  async #declareLedger(): Promise<void> {
    const vhost = segment(this.address.vhost)
    const { name, body } = ledgerQueue(this.#ownPrefix)
    await this.api.put(`exchanges/${vhost}/${segment(name)}`, { type: 'fanout', durable: true })
    await this.api.put(`queues/${vhost}/${segment(name)}`, body)
    await this.api.post(`bindings/${vhost}/e/${segment(name)}/q/${segment(name)}`, { routing_key: '' })
  }
}

async function orDestroy<T>(connection: AmqpConnection, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (thrown) {
    connection.destroy()
    throw thrown
  }
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
