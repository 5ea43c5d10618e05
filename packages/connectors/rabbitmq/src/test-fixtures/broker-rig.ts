/** Two brokers, a mover in this process, and clients of an independent library as the applications. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type AMQPBaseClient, type AMQPChannel, AMQPClient, type AMQPProperties } from '@cloudamqp/amqp-client'
import type { Endpoint, FollowProgress, Mover } from '@replatform/core/connector'
import type { Direction } from '@replatform/core/move'
import { TestMover } from '@replatform/testkit/mover-process'
import { pollUntil } from '@replatform/testkit/poll-until'
import { type RabbitmqOptions, type RabbitmqServer, startRabbitmq } from '@replatform/testkit/rabbitmq-server'
import { parse, stringify } from 'yaml'
import { RabbitmqBroker } from '../rabbitmq-broker.ts'
import type { RabbitmqPlan } from '../rabbitmq-plan.ts'
import { RabbitmqTopologyTranslation } from '../rabbitmq-topology.ts'
import { rabbitmqRoute } from '../route.ts'

const main = new URL('./mover-main.ts', import.meta.url)

export interface BrokerRig extends AsyncDisposable {
  readonly old: RabbitmqServer
  readonly next: RabbitmqServer
  /** Of the mover, with the management API. */
  readonly urls: { readonly old: string; readonly next: string }
  /** For plans. */
  readonly folder: string
}

export const silent = { info() {}, warn() {}, error() {} }

export async function startBrokerRig(
  options: { readonly old?: RabbitmqOptions; readonly next?: RabbitmqOptions } = {},
): Promise<BrokerRig> {
  await using stack = new AsyncDisposableStack()
  const [old, next] = await Promise.all([startRabbitmq(options.old), startRabbitmq(options.next)])
  stack.use(old)
  stack.use(next)
  const folder = await mkdtemp(join(tmpdir(), 'rabbitmq-plans-'))
  stack.defer(() => rm(folder, { recursive: true }))
  const all = stack.move()
  return {
    folder,
    old,
    next,
    urls: { old: moverUrl(old), next: moverUrl(next) },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}

export function moverUrl(server: RabbitmqServer, vhost = '/'): string {
  return `${server.url({ vhost })}?management=${server.management.url}`
}

/** A virtual host of its own on both sides, so that the tests of a file can share two brokers. */
export class TestMove {
  readonly name: string
  readonly #rig: BrokerRig
  topology: string | undefined

  static async create(rig: BrokerRig, name: string): Promise<TestMove> {
    const move = new TestMove(rig, name)
    for (const server of [rig.old, rig.next]) {
      await server.management.call('PUT', `vhosts/${name}`, {})
      await server.management.call('PUT', `permissions/${name}/rig`, { configure: '.*', write: '.*', read: '.*' })
    }
    await rig.old.management.call('PUT', `users/app-${name}`, { password: 'app', tags: '' })
    const all = { configure: '.*', write: '.*', read: '.*' }
    await rig.old.management.call('PUT', `permissions/${name}/app-${name}`, all)
    return move
  }

  constructor(rig: BrokerRig, name: string) {
    this.#rig = rig
    this.name = name
  }

  url(side: 'old' | 'next'): string {
    return moverUrl(this.#rig[side], this.name)
  }

  /** The plan that would be used, edited and saved where movers read it from then on. */
  async editPlan(edit: (plan: RabbitmqPlan) => void): Promise<void> {
    await using old = new RabbitmqBroker({ move: this.name, side: 'source', url: this.url('old') })
    await using next = new RabbitmqBroker({ move: this.name, side: 'target', url: this.url('next') })
    const translation = new RabbitmqTopologyTranslation(next, undefined)
    const text = this.topology && (await readFile(this.topology, 'utf8'))
    const plan = text
      ? translation.parse(parse(text))
      : await translation.plan(await old.definitions(), await old.facts())
    edit(plan)
    this.topology = join(this.#rig.folder, `${this.name}.yaml`)
    await writeFile(this.topology, stringify(plan))
  }

  startMover(urls = { old: this.url('old'), next: this.url('next') }): Promise<TestMover> {
    const [source, target] = [urls.old, urls.next].map((url) => ({ kind: 'rabbitmq', url }) as const) as [
      Endpoint,
      Endpoint,
    ]
    return TestMover.start({ main, move: this.name, source, target, topology: this.topology })
  }

  createMover(direction: Direction = 'forward', urls?: { old: string; next: string }): Mover {
    const old = { kind: 'rabbitmq', url: urls?.old ?? this.url('old') } as const
    const next = { kind: 'rabbitmq', url: urls?.next ?? this.url('next') } as const
    const flow = direction === 'forward' ? { source: old, target: next } : { source: next, target: old }
    const { name, topology } = this
    return rabbitmqRoute.open({ move: name, direction, ...flow, tools: {}, workers: 1, topology, log: silent })
  }

  /** As an application, or as the rig that may do anything. */
  async connect(side: 'old' | 'next', user: 'app' | 'rig' = 'app'): Promise<TestClient> {
    return TestClient.open(user === 'app' ? this.appUrl(side) : this.#rig[side].url({ vhost: this.name }))
  }

  appUrl(side: 'old' | 'next'): string {
    return this.#rig[side].url({ user: `app-${this.name}`, password: 'app', vhost: this.name })
  }

  call(side: 'old' | 'next', method: string, path: string, body?: unknown): Promise<unknown> {
    return this.#rig[side].management.call(method, path.replace('{vhost}', this.name), body)
  }

  async declareQueue(side: 'old' | 'next', queue: string, args: Record<string, unknown> = {}): Promise<void> {
    await this.call(side, 'PUT', `queues/{vhost}/${queue}`, { durable: true, arguments: args })
  }
}

export interface Received {
  readonly body: string
  readonly exchange: string
  readonly routingKey: string
  readonly redelivered: boolean
  readonly properties: AMQPProperties
}

export class TestClient implements AsyncDisposable {
  readonly channel: AMQPChannel
  readonly #client: AMQPBaseClient
  #confirms: Promise<void> | undefined

  static async open(url: string): Promise<TestClient> {
    const client = new AMQPClient(url)
    client.onerror = () => {}
    const connected = await client.connect()
    const channel = await connected.channel()
    channel.onerror = () => {}
    return new TestClient(connected, channel)
  }

  private constructor(client: AMQPBaseClient, channel: AMQPChannel) {
    this.#client = client
    this.channel = channel
  }

  get isOpen(): boolean {
    return !this.#client.closed
  }

  async publish(queue: string, bodies: readonly string[], properties: AMQPProperties = {}): Promise<void> {
    // A second time the library would wait for ever.
    this.#confirms ??= this.channel.confirmSelect()
    await this.#confirms
    const sent = bodies.map((body) => this.channel.basicPublish('', queue, body, { deliveryMode: 2, ...properties }))
    await Promise.all(sent)
  }

  async depth(queue: string): Promise<number> {
    return (await this.channel.queueDeclare(queue, { passive: true })).messageCount
  }

  /** Everything that is ready, taken out. */
  async drain(queue: string): Promise<Received[]> {
    const received: Received[] = []
    for (;;) {
      const message = await this.channel.basicGet(queue, { noAck: true })
      if (!message) return received
      received.push({
        body: message.bodyString() ?? '',
        exchange: message.exchange,
        routingKey: message.routingKey,
        redelivered: message.redelivered,
        properties: message.properties,
      })
    }
  }

  /** The bodies of everything that is ready, taken out; for many, of which nobody else takes or adds any. */
  async takeAll(queue: string): Promise<string[]> {
    const count = await this.depth(queue)
    const bodies: string[] = []
    if (count === 0) return bodies
    const { promise, resolve } = Promise.withResolvers<void>()
    const consumer = await this.channel.basicConsume(queue, { noAck: true }, (message) => {
      bodies.push(message.bodyString() ?? '')
      if (bodies.length === count) resolve()
    })
    await promise
    await consumer.cancel()
    return bodies
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.close().catch(() => {})
  }
}

/** Follows until disposed of. */
export class Following implements AsyncDisposable {
  latest: FollowProgress | null = null
  failure: unknown = null
  readonly #abort = new AbortController()
  readonly #ended: Promise<void>

  constructor(mover: Mover) {
    this.#ended = mover.follow({
      signal: this.#abort.signal,
      report: (progress) => {
        this.latest = progress
      },
      throttle: async () => {},
    })
    this.#ended.catch((thrown) => {
      this.failure = thrown
    })
  }

  /** Until it has reported, so that bridges that are wanted are open. */
  async begun(): Promise<void> {
    await pollUntil('the mover follows', () => this.failure !== null || this.latest !== null)
    if (this.failure) throw this.failure
  }

  async stop(): Promise<void> {
    this.#abort.abort()
    await this.#ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort()
    await this.#ended.catch(() => {})
  }
}
