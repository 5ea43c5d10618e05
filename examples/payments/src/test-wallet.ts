/** A wallet on a throw-away ledger, for the tests here. */
import type { AddressInfo } from 'node:net'
import { Client, type QueryResultRow } from 'pg'
import { createDatabase, createRoles, createSchema, seedLedger } from './ledger-setup.ts'
import { PaymentLedger } from './payment-ledger.ts'
import type { TestDatabase } from './test-database.ts'
import { createWalletServer } from './wallet-server.ts'

export interface TestLedgerOptions {
  readonly accounts: number
  readonly historyRows?: number
}

/** Every account starts with this many dong. */
export const opening = 1_000_000

export async function createLedger(database: TestDatabase, name: string, options: TestLedgerOptions): Promise<void> {
  const admin = database.url('postgres')
  await createRoles(admin, database)
  await createDatabase(admin, name)
  await createSchema(database.url('wallet_owner', name))
  await seedLedger(database.url('wallet_owner', name), { historyRows: 0, ...options, opening: BigInt(opening) })
}

export interface TestWallet extends AsyncDisposable {
  readonly url: string
  /** Requests that wait for a connection to the ledger. */
  readonly waiting: number
  post(path: string, key: string, body?: object, signal?: AbortSignal): Promise<{ status: number; text: string }>
}

export async function startWallet(databaseUrl: string, statementMs = 10_000): Promise<TestWallet> {
  const onConnectionError = () => undefined
  const ledger = new PaymentLedger({
    url: databaseUrl,
    connections: 8,
    connectMs: 5000,
    statementMs,
    onConnectionError,
  })
  const app = createWalletServer(ledger)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
  return {
    url,
    get waiting() {
      return ledger.waiting
    },
    async post(path, key, body, signal) {
      const headers = { 'idempotency-key': key, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }
      const sent = body ? JSON.stringify(body) : null
      const response = await fetch(url + path, { method: 'POST', headers, body: sent, signal: signal ?? null })
      return { status: response.status, text: await response.text() }
    },
    async [Symbol.asyncDispose]() {
      await app.close()
      await ledger.close()
    },
  }
}

/** Runs SQL as one connection; several statements only without parameters. */
export async function query<Row extends QueryResultRow>(
  url: string,
  text: string,
  parameters?: readonly unknown[],
): Promise<Row[]> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Row>(text, parameters === undefined ? undefined : [...parameters])).rows
  } finally {
    await client.end()
  }
}
