/**
 * Events: a RabbitMQ with the exchange of payments, the relay and the consumers of it, and an ActiveMQ that is
 * configured as the plan of their topology asks.
 */
import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { activemqFiles } from '@replatform/testkit/activemq-distribution'
import { type ActivemqServer, startActivemq } from '@replatform/testkit/activemq-server'
import { debianProgram } from '@replatform/testkit/debian-package'
import { java17 } from '@replatform/testkit/java-runtime'
import { pollUntil } from '@replatform/testkit/poll-until'
import type { RabbitmqServer } from '@replatform/testkit/rabbitmq-server'
import { createTempFolder } from '@replatform/testkit/temp-folder'
import { paymentsMain } from './payments-main.ts'
import { Program, runProgram } from './program.ts'
import { askReplatform } from './replatform.ts'

const retryMs = 500
const planFile = 'events.yaml'
const consumers = ['notification', 'settlement', 'risk', 'search-index'] as const
/** The user of the services: the fence tells them from the mover by it. */
const app = 'events'

export interface EventsOptions {
  /** Where the plan of the topology lies, beside the estate file. */
  readonly folder: string
  readonly ledgerUrl: string
  readonly consumersUrl: string
  readonly broker: RabbitmqServer
}

export interface EventsVerdict {
  readonly verdict: string
  readonly judged: Readonly<Record<string, number>>
  readonly found: Readonly<Record<string, number>>
}

/** Brings what the brokers need to this machine; throws what is missing. */
export async function bringBrokers(): Promise<void> {
  await debianProgram('rabbitmq-server', 'rabbitmq-server')
  await java17()
  await activemqFiles()
}

export class EventsStage implements AsyncDisposable {
  readonly env: Readonly<Record<string, string>>
  readonly store = storeOf(`topology: ${planFile}`)
  readonly #options: EventsOptions
  readonly #password: string
  readonly #target: ActivemqServer
  readonly #opened: AsyncDisposableStack
  #service: Service

  /** The topology must be there to be planned, so the service runs on the old broker first. */
  static async open(options: EventsOptions): Promise<EventsStage> {
    await using opened = new AsyncDisposableStack()
    const { broker } = options
    const password = randomBytes(18).toString('base64url')
    await broker.management.call('PUT', `users/${app}`, { password, tags: '' })
    const all = { configure: '.*', write: '.*', read: '.*' }
    await broker.management.call('PUT', `permissions/%2F/${app}`, all)
    const service = opened.use(await startService(options, { brokerUrl: broker.url({ user: app, password }) }))
    const configuration = await planTopology(options)
    const users = { [app]: { password, groups: [app] } }
    const target = opened.use(await startActivemq({ amqpTransformer: 'jms', configuration, users }))
    const [source, next] = [sourceUrl(broker), `${target.url()}?jolokia=${target.statistics.url}`]
    const env = { EVENTS_SOURCE: source, EVENTS_TARGET: next }
    return new EventsStage({ options, password, target, service, env, opened: opened.move() })
  }

  private constructor({ options, password, target, service, env, opened }: Parts) {
    this.#options = options
    this.#password = password
    this.#target = target
    this.#service = service
    this.env = env
    this.#opened = opened
  }

  /** From here on messages cross while they come, and the consumers speak AMQP 1.0. */
  async moveConsumers(): Promise<void> {
    await this.#service[Symbol.asyncDispose]()
    // What a person changes in an editor: the mover reads the file again.
    const path = join(this.#options.folder, planFile)
    await writeFile(path, (await readFile(path, 'utf8')).replaceAll('"carry": "cutover"', '"carry": "now"'))
    await this.#restart({ brokerUrl: this.#oldUrl, consumersBrokerUrl: this.#newUrl })
  }

  /** After the cutover: the relay publishes to topics, too. */
  async moveRelay(): Promise<void> {
    await this.#service[Symbol.asyncDispose]()
    await this.#restart({ brokerUrl: this.#newUrl })
  }

  /** Events that consumers have taken since their service was started, by its own metrics. */
  async taken(): Promise<number> {
    const answer = await fetch(`${this.#service.url}/metrics`)
    const handled = (await answer.text()).matchAll(/^events_handled_total\{[^}]*handling="done"[^}]*\} (\d+)/gm)
    return [...handled].reduce((sum, [, count]) => sum + Number(count), 0)
  }

  /** Asks until every event has arrived, or in vain. `ledgerUrl`: where the ledger is by now. */
  async judge(ledgerUrl: string): Promise<EventsVerdict> {
    const { consumersUrl, broker } = this.#options
    const env = {
      JUDGE_DATABASE_URL: ledgerUrl,
      JUDGE_CONSUMERS_URL: consumersUrl,
      JUDGE_BROKER_URL: broker.url(),
    }
    const until = performance.now() + 60_000
    for (;;) {
      const verdict = await runProgram<EventsVerdict>({ main: paymentsMain('judge-stores-main'), args: [], env })
      const left = await this.#leftOnTopics()
      if ((verdict.verdict === 'clean' && left === 0) || performance.now() > until) {
        const { found } = verdict
        if (left === 0) return verdict
        const stranded = (found.stranded ?? 0) + left
        return {
          ...verdict,
          verdict: verdict.verdict === 'clean' ? 'stranded' : verdict.verdict,
          found: { ...found, stranded },
        }
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#service[Symbol.asyncDispose]()
    await this.#opened.disposeAsync()
  }

  get #oldUrl(): string {
    return this.#options.broker.url({ user: app, password: this.#password })
  }

  get #newUrl(): string {
    return this.#target.url({ user: app, password: this.#password }).replace(/^amqp/, 'amqp10')
  }

  async #restart(brokers: Brokers): Promise<void> {
    this.#service = await startService(this.#options, brokers)
  }

  /** The judge of events speaks AMQP 0-9-1; what waits or was given up on the new broker is counted here. */
  async #leftOnTopics(): Promise<number> {
    const queues = consumers.flatMap((name) => [`payments.${name}`, `payments.${name}.dead`])
    const found = await Promise.all(queues.map((queue) => this.#target.statistics.queue(queue)))
    return found.reduce((sum, queue) => sum + (queue?.size ?? 0), 0)
  }
}

interface Parts {
  readonly options: EventsOptions
  readonly password: string
  readonly target: ActivemqServer
  readonly service: Service
  readonly env: Readonly<Record<string, string>>
  readonly opened: AsyncDisposableStack
}

interface Brokers {
  readonly brokerUrl: string
  readonly consumersBrokerUrl?: string
}

interface Service extends AsyncDisposable {
  readonly url: string
}

/** Ready when the relay and every consumer are connected. */
async function startService(
  { ledgerUrl, consumersUrl }: EventsOptions,
  { brokerUrl, consumersBrokerUrl = '' }: Brokers,
): Promise<Service> {
  const program = await Program.start({
    main: paymentsMain('events-main'),
    args: ['--retry-ms', String(retryMs)],
    env: {
      EVENTS_LEDGER_URL: ledgerUrl,
      EVENTS_CONSUMERS_URL: consumersUrl,
      EVENTS_BROKER_URL: brokerUrl,
      EVENTS_CONSUMERS_BROKER_URL: consumersBrokerUrl,
      EVENTS_LOG_LEVEL: 'error',
    },
  })
  try {
    const { port } = await program.waitFor((line) => 'port' in line)
    const url = `http://127.0.0.1:${port}`
    const isReady = async () => (await fetch(`${url}/health/ready`)).status === 200
    await pollUntil('relay and consumers are connected', isReady, { withinMs: 60_000, everyMs: 100 })
    return { url, [Symbol.asyncDispose]: () => program[Symbol.asyncDispose]() }
  } catch (error) {
    await program[Symbol.asyncDispose]()
    throw error
  }
}

/** Writes the plan into the folder; what the new broker has to be configured with for it. */
async function planTopology({ folder, broker }: EventsOptions): Promise<string> {
  await using place = await createTempFolder('replatform-demo-plan')
  const env = { EVENTS_SOURCE: sourceUrl(broker), EVENTS_TARGET: 'amqp://nobody:nothing@127.0.0.1:1' }
  const estate = (more: string) =>
    writeFile(join(place.path, 'estate.yaml'), `estate: plan\nstores:\n${storeOf(more)}${wave}`)
  const ask = <T>(...args: string[]) => askReplatform<T>({ folder: place.path, env }, 'topology', 'events', ...args)
  await estate('')
  const { plan } = await ask<{ plan: object }>()
  // JSON is YAML.
  const text = JSON.stringify(plan, null, 2)
  for (const target of [folder, place.path]) await writeFile(join(target, planFile), text)
  await estate(`topology: ${planFile}`)
  const { configuration } = await ask<{ configuration: string | null }>('--configuration')
  return configuration ?? ''
}

const wave = `waves: [{ name: messages, phase: replatform, moves: [events], pauseBudget: 60s }]\n`

function storeOf(more: string): string {
  return `  events:
    source: { kind: rabbitmq, url: env:EVENTS_SOURCE }
    target: { kind: activemq, url: env:EVENTS_TARGET }
${more === '' ? '' : `    ${more}\n`}`
}

function sourceUrl(broker: RabbitmqServer): string {
  return `${broker.url()}?management=${broker.management.url}`
}
