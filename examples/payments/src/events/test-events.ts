/** A ledger, consumers and a broker, for the tests here. */
import { type RabbitmqServer, startRabbitmq } from '@replatform/testkit/rabbitmq-server'
import { startTestDatabase, type TestDatabase } from '../test-database.ts'
import { createLedger, query } from '../test-wallet.ts'
import { createConsumers } from './consumers-setup.ts'
import { EventService } from './event-service.ts'

// Connections are cut here on purpose.
process.env.EVENTS_LOG_LEVEL = 'error'

/** Until what could not be taken comes round again. */
export const retryMs = 100

export interface EventStage extends AsyncDisposable {
  readonly database: TestDatabase
  readonly broker: RabbitmqServer
  /** As the wallet may use it. */
  readonly ledgerUrl: string
  readonly consumersUrl: string
  startService(options?: { brokerUrl?: string; consumersBrokerUrl?: string; rounds?: number }): EventService
  /** Whether every event has been taken by every consumer. */
  isSettled(): Promise<boolean>
}

export async function startEventStage(): Promise<EventStage> {
  await using stack = new AsyncDisposableStack()
  const database = stack.use(await startTestDatabase(17))
  const broker = stack.use(await startRabbitmq())
  await createLedger(database, 'wallet', { accounts: 20 })
  await query(database.url('postgres'), 'CREATE DATABASE consumers')
  const ledgerUrl = database.url('wallet', 'wallet')
  const consumersUrl = database.url('postgres', 'consumers')
  await createConsumers(consumersUrl, ledgerUrl)
  const resources = stack.move()
  return {
    database,
    broker,
    ledgerUrl,
    consumersUrl,
    startService: ({ brokerUrl = broker.url(), consumersBrokerUrl, rounds = 60 } = {}) =>
      new EventService({ ledgerUrl, consumersUrl, brokerUrl, consumersBrokerUrl, retryMs, rounds }),
    async isSettled() {
      const [sent] = await query<{ n: string }>(
        ledgerUrl,
        `SELECT count(*) AS n FROM ledger.outbox WHERE payload ? 'debit'`,
      )
      const taken = await query<{ n: string }>(
        consumersUrl,
        'SELECT count(*) AS n FROM consumers.inbox GROUP BY consumer',
      )
      return taken.length === 4 && taken.every(({ n }) => n === sent?.n)
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

/** So many transfers, between few accounts, so that their order matters. */
export async function pay(ledgerUrl: string, prefix: string, count: number): Promise<void> {
  await query(
    ledgerUrl,
    `SELECT ledger.pay('${prefix}-' || n, '\\x', 'transfer', 1001 + n % 5, 1001 + (n + 1) % 5, 10) FROM generate_series(1, ${count}) n`,
  )
}
