/** The stores of the payments platform, started by the rig, with their schemas and a ledger that has a past. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { startElasticsearch } from '@replatform/testkit/elasticsearch-server'
import { startMariadb } from '@replatform/testkit/mariadb-server'
import { startMongodb } from '@replatform/testkit/mongodb-server'
import { type PostgresqlServer, startPostgresql } from '@replatform/testkit/postgresql-server'
import { startRabbitmq } from '@replatform/testkit/rabbitmq-server'
import { startRedis } from '@replatform/testkit/redis-server'
import { finished, start } from './program.ts'

export interface StoresOptions {
  readonly accounts: number
  /** Rows of transfers that the ledger holds before anybody pays. */
  readonly history: number
  /** Where receipts lie. */
  readonly folder: string
}

/** Where each store is, with the password of the service that uses it. */
export interface StoreAddresses {
  readonly ledger: string
  readonly consumers: string
  readonly redis: string
  readonly broker: string
  readonly merchants: string
  readonly profiles: string
  readonly search: string
  readonly receipts: string
}

interface Restartable {
  restart(): Promise<void>
}

export class Stores implements AsyncDisposable {
  readonly addresses: StoreAddresses
  readonly #servers: readonly Restartable[]
  readonly #resources: AsyncDisposableStack

  constructor(addresses: StoreAddresses, servers: readonly Restartable[], resources: AsyncDisposableStack) {
    this.addresses = addresses
    this.#servers = servers
    this.#resources = resources
  }

  /** Ends every server in order and starts it again, all at the same time: whoever uses them loses every connection. */
  async restart(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.restart()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync()
  }
}

/** Starts every server at the same time, then makes what has to be there before anybody comes. */
export async function startStores(options: StoresOptions): Promise<Stores> {
  await using servers = new AsyncDisposableStack()
  const use = async <Server extends AsyncDisposable>(starting: Promise<Server>) => servers.use(await starting)
  const [postgresql, redis, rabbitmq, mariadb, mongodb, elasticsearch] = await allOrThrow([
    use(startPostgresql({ major: 17, settings: { shared_buffers: '128MB', max_wal_size: '1GB' } })),
    use(startRedis()),
    use(startRabbitmq()),
    use(startMariadb()),
    use(startMongodb()),
    use(startElasticsearch()),
  ])
  const ledger = await createLedger(postgresql, options)
  await postgresql.createDatabase('consumers')
  await mariadb.query('CREATE DATABASE merchants')
  const addresses = {
    ledger,
    consumers: postgresql.url('consumers'),
    redis: redis.url(),
    broker: rabbitmq.url(),
    merchants: mariadb.url('merchants'),
    profiles: withAuthSource(mongodb.url('profiles')),
    search: elasticsearch.url(),
    receipts: join(options.folder, 'receipts'),
  }
  await createSchemas(addresses)
  const all = [postgresql, redis, rabbitmq, mariadb, mongodb, elasticsearch]
  return new Stores(addresses, all, servers.move())
}

/** Address of the ledger for the wallet. */
async function createLedger(postgresql: PostgresqlServer, { accounts, history }: StoresOptions): Promise<string> {
  const passwords = { WALLET_OWNER_PASSWORD: secret(), WALLET_PASSWORD: secret() }
  const args = ['--accounts', String(accounts), '--history', String(history)]
  await finished(start('schema-main.ts', args, { LEDGER_ADMIN_URL: postgresql.url(), ...passwords }))
  return postgresql.url('wallet', 'wallet', passwords.WALLET_PASSWORD)
}

async function createSchemas({ ledger, consumers, merchants, profiles }: StoreAddresses): Promise<void> {
  await Promise.all([
    finished(start('consumers-main.ts', [], { CONSUMERS_OWNER_URL: consumers, EVENTS_LEDGER_URL: ledger })),
    finished(start('merchants-main.ts', ['--create-tables'], { MERCHANTS_DATABASE_URL: merchants })),
    finished(start('profiles-main.ts', ['--create-indexes'], { PROFILES_MONGODB_URL: profiles })),
  ])
}

/** Waits for all of them, also when one fails: what starts late must be disposed of as well. */
async function allOrThrow<const Values extends readonly Promise<unknown>[]>(
  starting: Values,
): Promise<{ [Index in keyof Values]: Awaited<Values[Index]> }> {
  await Promise.allSettled(starting)
  return (await Promise.all(starting)) as { [Index in keyof Values]: Awaited<Values[Index]> }
}

function withAuthSource(address: string): string {
  const url = new URL(address)
  url.searchParams.set('authSource', 'admin')
  return url.href
}

function secret(): string {
  return randomBytes(18).toString('base64url')
}
