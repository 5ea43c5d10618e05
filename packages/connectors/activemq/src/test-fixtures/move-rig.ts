/** RabbitMQ, ActiveMQ, a mover between them in a process of its own, and applications with clients of other libraries. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type AMQPChannel, AMQPClient } from '@cloudamqp/amqp-client'
import { RabbitmqBroker } from '@replatform/connector-rabbitmq/rabbitmq-broker'
import type { Mover } from '@replatform/core/connector'
import { type ActivemqServer, startActivemq } from '@replatform/testkit/activemq-server'
import { TestMover } from '@replatform/testkit/mover-process'
import { type RabbitmqServer, startRabbitmq } from '@replatform/testkit/rabbitmq-server'
import { stringify } from 'yaml'
import type { ActivemqPlan } from '../activemq-plan.ts'
import { planTopology } from '../plan-translation.ts'
import { activemqRoute } from '../route.ts'

const main = new URL('./mover-main.ts', import.meta.url)
const silent = { info() {}, warn() {}, error() {} }

export interface MoveRig extends AsyncDisposable {
  readonly old: RabbitmqServer
  readonly next: ActivemqServer
  readonly folder: string
}

export async function startMoveRig(configuration?: string): Promise<MoveRig> {
  await using stack = new AsyncDisposableStack()
  const options = configuration === undefined ? {} : { configuration }
  const [old, next] = await Promise.all([startRabbitmq(), startActivemq({ amqpTransformer: 'jms', ...options })])
  stack.use(old)
  stack.use(next)
  const folder = await mkdtemp(join(tmpdir(), 'activemq-plans-'))
  stack.defer(() => rm(folder, { recursive: true }))
  const all = stack.move()
  return { folder, old, next, [Symbol.asyncDispose]: () => all.disposeAsync() }
}

/** A virtual host of its own on the old broker. */
export class TestMove {
  readonly name: string
  readonly #rig: MoveRig
  topology: string | undefined

  static async create(rig: MoveRig, name: string): Promise<TestMove> {
    const { management } = rig.old
    const all = { configure: '.*', write: '.*', read: '.*' }
    await management.call('PUT', `vhosts/${name}`, {})
    await management.call('PUT', `permissions/${name}/rig`, all)
    await management.call('PUT', `users/app-${name}`, { password: 'app', tags: '' })
    await management.call('PUT', `permissions/${name}/app-${name}`, all)
    return new TestMove(rig, name)
  }

  constructor(rig: MoveRig, name: string) {
    this.#rig = rig
    this.name = name
  }

  call(method: string, path: string, body?: unknown): Promise<unknown> {
    return this.#rig.old.management.call(method, path.replace('{vhost}', this.name), body)
  }

  async declareQueue(queue: string, args: Record<string, unknown> = {}): Promise<void> {
    await this.call('PUT', `queues/{vhost}/${queue}`, { durable: true, arguments: args })
  }

  async editPlan(edit: (plan: ActivemqPlan) => void): Promise<ActivemqPlan> {
    await using old = new RabbitmqBroker({ move: this.name, side: 'source', url: this.#urls.old })
    const plan = planTopology({ definitions: await old.definitions(), facts: await old.facts(), isOurs: () => false })
    edit(plan)
    this.topology = join(this.#rig.folder, `${this.name}.yaml`)
    await writeFile(this.topology, stringify(plan))
    return plan
  }

  startMover(): Promise<TestMover> {
    const { source, target } = this.#sides
    return TestMover.start({ main, move: this.name, source, target, topology: this.topology })
  }

  createMover(): Mover {
    const { name, topology } = this
    const common = { tools: {}, workers: 1, topology, log: silent }
    return activemqRoute.open({ move: name, direction: 'forward', ...this.#sides, ...common })
  }

  /** Of RabbitMQ, as an application; its channel confirms. */
  async connect(): Promise<{ readonly channel: AMQPChannel } & AsyncDisposable> {
    const client = new AMQPClient(this.appUrl)
    client.onerror = () => {}
    const connection = await client.connect()
    const channel = await connection.channel()
    channel.onerror = () => {}
    await channel.confirmSelect()
    return { channel, [Symbol.asyncDispose]: () => connection.close().catch(() => {}) }
  }

  get appUrl(): string {
    return this.#rig.old.url({ user: `app-${this.name}`, password: 'app', vhost: this.name })
  }

  async depth(queue: string): Promise<number> {
    const client = new AMQPClient(this.#rig.old.url({ vhost: this.name }))
    const connection = await client.connect()
    try {
      const channel = await connection.channel()
      return (await channel.queueDeclare(queue, { passive: true })).messageCount
    } finally {
      await connection.close()
    }
  }

  get #urls() {
    const { old, next } = this.#rig
    return {
      old: `${old.url({ vhost: this.name })}?management=${old.management.url}`,
      next: `${next.url()}?jolokia=${next.statistics.url}`,
    }
  }

  get #sides() {
    const { old, next } = this.#urls
    return { source: { kind: 'rabbitmq', url: old }, target: { kind: 'activemq', url: next } } as const
  }
}
