/**
 * Goal: the events' queues move from RabbitMQ to ActiveMQ while payments go on. Consumers go first, from AMQP 0-9-1 to
 * AMQP 1.0, then the relay crosses at the cutover. Method: the product's own command line as its users run it; the judge
 * says whether each event had its effect once, in order.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type ActivemqServer, startActivemq } from '@replatform/testkit/activemq-server'
import { pollUntil } from '@replatform/testkit/poll-until'
import { createTempFolder } from '@replatform/testkit/temp-folder'
import { expect, test } from 'vitest'
import { query } from '../test-wallet.ts'
import { judgeEvents } from './judge-events.ts'
import { type EventStage, pay, startEventStage } from './test-events.ts'
import { consumerNames, queuesOf } from './topology.ts'

const program = fileURLToPath(new URL('../../../../apps/cli/src/main.ts', import.meta.url))
const run = promisify(execFile)

test('payments reach every consumer once in effect while its queue moves to ActiveMQ', {
  timeout: 300_000,
}, async () => {
  await using stage = await startEventStage()
  await using folder = await createTempFolder('moved-events')
  // The fence tells applications from the mover by their user.
  const login = { user: 'events', password: 'events-password' }
  await stage.broker.management.call('PUT', 'users/events', { password: login.password, tags: '' })
  await stage.broker.management.call('PUT', 'permissions/%2F/events', { configure: '.*', write: '.*', read: '.*' })
  const brokerUrl = stage.broker.url(login)
  // The topology must be there to be planned.
  await pay(stage.ledgerUrl, 'before', 100)
  {
    await using _first = stage.startService({ brokerUrl })
    await pollUntil('the events of before are taken', () => stage.isSettled())
  }
  const cli = new CommandLine(folder.path, stage)
  const plan = await cli.run('topology', 'events')
  const configuration = await cli.run('topology', 'events', '--configuration')
  const users = { events: { password: login.password, groups: ['events'] } }
  await using target = await startActivemq({ amqpTransformer: 'jms', configuration, users })
  cli.target = target
  const amqp10 = target.url(login).replace(/^amqp/, 'amqp10')
  await writeFile(join(folder.path, 'events.yaml'), plan)
  await cli.writeEstate({ topology: 'events.yaml' })

  await using bridge = cli.start('start', 'events')
  await pollUntil('the bridge stands', () => bridge.output.includes('in-sync'), { withinMs: 90_000 })
  const paying = payAll(stage, 'moving', 25)
  {
    await using _onOld = stage.startService({ brokerUrl })
    await pollUntil('some are taken on the old side', () => takenOf(stage, 'risk', 250))
  }
  const text = await readFile(join(folder.path, 'events.yaml'), 'utf8')
  await writeFile(join(folder.path, 'events.yaml'), text.replaceAll('carry: cutover', 'carry: now'))
  {
    await using _moved = stage.startService({ brokerUrl, consumersBrokerUrl: amqp10 })
    await paying
    await pollUntil('everything is taken on the new side', () => stage.isSettled(), { withinMs: 90_000 })
    await pollUntil('it came by way of ActiveMQ', async () => {
      const found = await target.statistics.queue(queuesOf('risk').main)
      return (found?.dequeued ?? 0) > 100
    })
    await cli.run('cutover', 'events')
  }
  await pay(stage.ledgerUrl, 'after', 200)
  await using _after = stage.startService({ brokerUrl: amqp10 })
  await pollUntil('what was paid since is taken', () => stage.isSettled(), { withinMs: 90_000 })
  const { ledgerUrl, consumersUrl } = stage
  const verdict = await judgeEvents({ ledgerUrl, consumersUrl })
  expect(verdict).toMatchObject({ verdict: 'clean' })
  for (const consumer of consumerNames) {
    const { main, dead } = queuesOf(consumer)
    expect((await target.statistics.queue(main))?.size).toBe(0)
    expect((await target.statistics.queue(dead))?.size ?? 0).toBe(0)
  }
})

async function payAll({ ledgerUrl }: EventStage, prefix: string, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    await pay(ledgerUrl, `${prefix}-${round}`, 50)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

async function takenOf({ consumersUrl }: EventStage, consumer: string, least: number): Promise<boolean> {
  const [taken] = await query<{ n: string }>(
    consumersUrl,
    `SELECT count(*) AS n FROM consumers.inbox WHERE consumer = '${consumer}'`,
  )
  return Number(taken?.n) >= least
}

class CommandLine {
  target: ActivemqServer | undefined
  readonly #folder: string
  readonly #stage: EventStage

  constructor(folder: string, stage: EventStage) {
    this.#folder = folder
    this.#stage = stage
  }

  async writeEstate({ topology }: { readonly topology?: string } = {}): Promise<void> {
    await writeFile(
      join(this.#folder, 'estate.yaml'),
      `estate: wallet
stores:
  events:
    source: { kind: rabbitmq, url: env:EVENTS_URL }
    target: { kind: activemq, url: env:EVENTS_TARGET_URL }
    ${topology ? `topology: ${topology}` : ''}
waves: [{ name: messaging, phase: replatform, moves: [events], pauseBudget: 60s }]
`,
    )
  }

  async run(...args: readonly string[]): Promise<string> {
    if (!this.target) await this.writeEstate()
    const { stdout } = await run(process.execPath, [program, ...args], { cwd: this.#folder, env: this.#environment })
    return stdout
  }

  /** Until it is disposed of. */
  start(...args: readonly string[]): Running {
    return new Running(spawn(process.execPath, [program, ...args], { cwd: this.#folder, env: this.#environment }))
  }

  get #environment() {
    const { management, ...broker } = { management: this.#stage.broker.management, url: this.#stage.broker.url() }
    const target = this.target
    return {
      ...process.env,
      EVENTS_URL: `${broker.url}?management=${management.url}`,
      EVENTS_TARGET_URL: target
        ? `${target.url()}?jolokia=${target.statistics.url}`
        : 'amqp://nobody:nothing@127.0.0.1:1',
    }
  }
}

class Running implements AsyncDisposable {
  output = ''
  readonly #child: ChildProcess
  readonly #ended: Promise<void>

  constructor(child: ChildProcess) {
    this.#child = child
    this.#ended = new Promise((resolve) => child.once('exit', () => resolve()))
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text) => (this.output += text))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGINT')
    await this.#ended
  }
}
