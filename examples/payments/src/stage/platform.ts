/** The whole payments platform on this machine: its stores, each service as a process, the gateway in front. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { createTempFolder } from '@replatform/testkit/temp-folder'
import { startGateway } from './gateway.ts'
import { ended, finished, type StartedService, start, startService } from './program.ts'
import { type StoreAddresses, type Stores, startStores } from './stores.ts'

export interface PlatformOptions {
  readonly accounts: number
  /** Rows of transfers that the ledger holds before anybody pays; none unless said. */
  readonly history?: number
}

export interface PlatformLoad {
  /** Arrivals a second, over all services. */
  readonly rate: number
  readonly seconds: number
  readonly seed: number
  readonly steady?: boolean
  /** How soon a payment must be found by search after it was acknowledged; 5,000 unless said. */
  readonly findWithinMs?: number
}

/** What a line of the load says: counts and latencies by service and operation, since its start. */
export interface LoadLine {
  readonly type: 'progress' | 'summary'
  readonly seconds: number
  /** Repeated requests that got another answer. */
  readonly differing?: number
  /** Arrivals that were due and not sent, because too many were waiting for their answers. */
  readonly notSent?: number
  readonly services: Readonly<Record<string, Readonly<Record<string, OperationLine>>>>
}

export interface OperationLine {
  readonly success: number
  readonly refused: number
  readonly unknown: number
  readonly latencyMs: Readonly<Record<'p50' | 'p90' | 'p99' | 'p999' | 'max', number>>
}

export interface StoreJudgement {
  readonly store: string
  readonly verdict: string
  readonly [corruption: string]: unknown
}

const services = ['sessions', 'merchants', 'profiles', 'search', 'receipts', 'events'] as const
type Service = (typeof services)[number] | 'wallet'

export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  await using opened = new AsyncDisposableStack()
  const { path: folder } = opened.use(await createTempFolder('payments-platform'))
  const { accounts, history = 0 } = options
  const stores = opened.use(await startStores({ accounts, history, folder }))
  const { addresses } = stores
  await finished(
    start('judge-main.ts', ['--record-baseline', baseline(folder)], { JUDGE_DATABASE_URL: addresses.ledger }),
  )

  const open = async (service: Service, environment: Record<string, string>): Promise<StartedService> => {
    // Connections that drop are what a stage is for: not worth a complaint.
    const quiet = { [`${service.toUpperCase()}_LOG_LEVEL`]: 'error' }
    const started = opened.use(await startService(`${service}-main.ts`, { ...quiet, ...environment }))
    // So that it ends with this process, however that ends.
    opened.use(await createTempFolder(`payments-${service}`)).guard(started.pid)
    return started
  }
  const wallet = await open('wallet', { WALLET_DATABASE_URL: addresses.ledger })
  const environments = environmentsOf(addresses, wallet.url)
  const others = await Promise.all(services.map((service) => open(service, environments[service])))
  const urls = Object.fromEntries([
    ['wallet', wallet.url],
    ...services.map((service, index) => [service, others[index]?.url]),
  ]) as Readonly<Record<Service, string>>
  const gateway = opened.use(await startGateway(urls)).url
  return new Platform({ options, folder, stores, urls, gateway, opened: opened.move() })
}

export class Platform implements AsyncDisposable {
  readonly gateway: string
  readonly urls: Readonly<Record<Service, string>>
  readonly stores: Stores
  readonly #folder: string
  readonly #options: PlatformOptions
  readonly #opened: AsyncDisposableStack

  constructor(parts: {
    readonly options: PlatformOptions
    readonly folder: string
    readonly stores: Stores
    readonly urls: Readonly<Record<Service, string>>
    readonly gateway: string
    readonly opened: AsyncDisposableStack
  }) {
    this.#options = parts.options
    this.#folder = parts.folder
    this.stores = parts.stores
    this.urls = parts.urls
    this.gateway = parts.gateway
    this.#opened = parts.opened
  }

  /** Customers come through the gateway; returns the summary. What they do later is judged together with the rest. */
  async load(
    { rate, seconds, seed, steady = false, findWithinMs = 5000 }: PlatformLoad,
    told: (line: LoadLine) => void = () => {},
  ): Promise<LoadLine> {
    const figures = { rate, seconds, seed, 'accounts': this.#options.accounts, 'find-within-ms': findWithinMs }
    const args = Object.entries(figures).flatMap(([name, value]) => [`--${name}`, String(value)])
    const more = ['--journals', this.#journals, '--settle', ...(steady ? ['--steady'] : [])]
    const load = start('load-main.ts', [...args, ...more], { LOAD_GATEWAY_URL: this.gateway })
    using _ = endedWith(load)
    const { code, lines, complaint } = await ended<LoadLine>(load, told)
    const summary = lines.at(-1)
    if (summary?.type !== 'summary') throw new Error(`the load ended with ${code}: ${complaint}`)
    return summary
  }

  /** Settles everything that merchants were owed up to now, as a whole day. */
  async settle(): Promise<void> {
    const day = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10)
    const headers = { 'content-type': 'application/json' }
    const settling = { method: 'POST', headers, body: JSON.stringify({ day }) }
    const { status } = await fetch(`${this.urls.merchants}/v1/settlements`, settling)
    if (status !== 200) throw new Error(`the settlement was answered with ${status}`)
  }

  /** What every judge says. Events may still be on their way: those who follow the ledger get that long. */
  async judge({ withinMs = 60_000 }: { readonly withinMs?: number } = {}): Promise<StoreJudgement[]> {
    const journal = ['--journal', join(this.#journals, 'wallet.journal')]
    const judging = [...journal, '--baseline', baseline(this.#folder), '--json']
    const ledger = start('judge-main.ts', judging, { JUDGE_DATABASE_URL: this.stores.addresses.ledger })
    const [verdict] = await judgements(ledger)
    const until = Date.now() + withinMs
    for (;;) {
      const others = await judgements(start('judge-stores-main.ts', this.#storeArguments, this.#judgeEnvironment))
      const clean = others.every((each) => each.verdict === 'clean')
      if (clean || Date.now() > until) return [{ ...verdict, store: 'ledger' } as StoreJudgement, ...others]
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync()
  }

  get #journals(): string {
    return join(this.#folder, 'journals')
  }

  get #storeArguments(): string[] {
    const kinds = ['sessions', 'merchants', 'profiles', 'search']
    return kinds.flatMap((kind) => [`--${kind}-journal`, join(this.#journals, `${kind}.journal`)])
  }

  get #judgeEnvironment(): Record<string, string> {
    const { ledger, redis, consumers, broker, merchants, profiles, search, receipts } = this.stores.addresses
    return {
      JUDGE_DATABASE_URL: ledger,
      JUDGE_REDIS_URL: redis,
      JUDGE_CONSUMERS_URL: consumers,
      JUDGE_BROKER_URL: broker,
      JUDGE_MARIADB_URL: merchants,
      JUDGE_MONGODB_URL: profiles,
      JUDGE_SEARCH_URL: search,
      JUDGE_RECEIPTS_SHARE: receipts,
    }
  }
}

function baseline(folder: string): string {
  return join(folder, 'baseline.json')
}

function environmentsOf(
  { ledger, consumers, redis, broker, merchants, profiles, search, receipts }: StoreAddresses,
  walletUrl: string,
): Readonly<Record<(typeof services)[number], Record<string, string>>> {
  return {
    sessions: { SESSIONS_REDIS_URL: redis, SESSIONS_SECRET: randomBytes(24).toString('base64url') },
    merchants: { MERCHANTS_DATABASE_URL: merchants, MERCHANTS_WALLET_URL: walletUrl },
    profiles: { PROFILES_MONGODB_URL: profiles },
    search: { SEARCH_URL: search, SEARCH_CONSUMERS_URL: consumers, SEARCH_MERCHANTS_URL: merchants },
    receipts: { RECEIPTS_SHARE: receipts, RECEIPTS_CONSUMERS_URL: consumers },
    events: { EVENTS_LEDGER_URL: ledger, EVENTS_CONSUMERS_URL: consumers, EVENTS_BROKER_URL: broker },
  }
}

async function judgements(judge: ReturnType<typeof start>): Promise<readonly StoreJudgement[]> {
  const { code, lines, complaint } = await ended<StoreJudgement>(judge)
  if (lines.length === 0) throw new Error(`a judge ended with ${code}: ${complaint}`)
  return lines
}

/** The load ends in order when whoever waits for it gives up. */
function endedWith(load: ReturnType<typeof start>): Disposable {
  return { [Symbol.dispose]: () => void (load.exitCode === null && load.kill('SIGTERM')) }
}
