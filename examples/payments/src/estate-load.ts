import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { InFlight } from './in-flight.ts'
import { JournalWriter } from './journal.ts'
import { LoadClock } from './load-clock.ts'
import { LoadGenerator } from './load-generator.ts'
import type { MerchantsLine } from './merchants/merchants-journal.ts'
import { MerchantsLoad } from './merchants/merchants-load.ts'
import { type Bursts, dueTimes } from './open-loop.ts'
import { type OperationFigures, OperationStatistics } from './operation-statistics.ts'
import { PatientClient } from './patient-client.ts'
import type { ProfilesLine } from './profiles/profiles-journal.ts'
import { ProfilesLoad } from './profiles/profiles-load.ts'
import type { SearchLine } from './search/search-journal.ts'
import { SearchLoad } from './search/search-load.ts'
import { SeededRandom } from './seeded-random.ts'
import type { SessionsLine } from './sessions/sessions-journal.ts'
import { SessionsLoad } from './sessions/sessions-load.ts'
import { WalletClient } from './wallet-client.ts'

export type LoadedService = 'wallet' | 'sessions' | 'merchants' | 'profiles' | 'search'

export interface EstateLoadOptions {
  /** Services that are there; at least one. */
  readonly urls: Readonly<Partial<Record<LoadedService, string>>>
  /** Arrivals a second, over all services. */
  readonly rate: number
  readonly seed: number
  readonly accounts: number
  /** Where the journals go: `wallet.journal` and so on. */
  readonly directory: string
  readonly timeoutMs: number
  readonly attempts: number
  readonly bursts?: Bursts | undefined
  /** For how long the sessions' service keeps answers. */
  readonly answerLifeMs: number
  /** How soon a payment must be found after it was acknowledged. */
  readonly findWithinMs: number
}

/** Of a hundred arrivals; who searches has paid before. Where a service is missing, the others share what would be its. */
const shares: Readonly<Record<LoadedService, number>> = {
  wallet: 70,
  sessions: 10,
  merchants: 10,
  profiles: 10,
  search: 0,
}
/** The first customers of a seeded ledger; the first of them sell, and are hot. */
const firstCustomer = 1001
const sellers = 8

/** One kind of customers, of one service. */
interface Kind {
  readonly service: LoadedService
  run(signal: AbortSignal): Promise<void>
  settle(withinMs: number): Promise<void>
  figures(): Readonly<Record<string, OperationFigures>>
  differing(): number
  notSent(): number
}

/** Customers of every service that is there, each kind with its own open loop, seed and journal. */
export class EstateLoad implements Disposable {
  readonly #options: EstateLoadOptions
  readonly #kinds: Kind[] = []
  readonly #resources = new DisposableStack()

  constructor(options: EstateLoadOptions) {
    this.#options = options
    mkdirSync(options.directory, { recursive: true })
    const { wallet, sessions, merchants, profiles, search } = options.urls
    const seekers = search && wallet ? this.#seekers(search) : undefined
    if (wallet) this.#kinds.push(this.#payers(wallet, seekers?.load))
    if (sessions) this.#kinds.push(this.#guests(sessions))
    if (merchants) this.#kinds.push(this.#shoppers(merchants))
    if (profiles) this.#kinds.push(this.#members(profiles))
    if (seekers) this.#kinds.push(seekers.kind)
    if (this.#kinds.length === 0) throw new Error('name the address of at least one service')
  }

  /** Sends until the signal, then waits until each request has an outcome. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#kinds.map((kind) => kind.run(signal)))
  }

  /** Asks again for payments of unknown outcome; of the other services, what is unknown may stay so. */
  async settle(withinMs: number): Promise<void> {
    await Promise.all(this.#kinds.map((kind) => kind.settle(withinMs)))
  }

  figures(): Record<string, Readonly<Record<string, OperationFigures>>> {
    return Object.fromEntries(this.#kinds.map((kind) => [kind.service, kind.figures()]))
  }

  /** Answers that contradicted earlier ones. */
  get differing(): number {
    return this.#kinds.reduce((sum, kind) => sum + kind.differing(), 0)
  }

  /** Arrivals that were due and not sent, because too many were waiting for their answers. */
  get notSent(): number {
    return this.#kinds.reduce((sum, kind) => sum + kind.notSent(), 0)
  }

  [Symbol.dispose](): void {
    this.#resources.dispose()
  }

  #payers(url: string, seekers: SearchLoad | undefined): Kind {
    const { timeoutMs, attempts, seed, accounts, bursts } = this.#options
    const client = this.#resources.use(new WalletClient({ url, timeoutMs, attempts }))
    const journal = this.#journal('wallet')
    const generator = new LoadGenerator({
      rate: this.#rate('wallet'),
      seed,
      accounts,
      client,
      journal,
      bursts,
      onAcknowledged: (key) => seekers?.acknowledged(key),
    })
    return {
      service: 'wallet',
      run: (signal) => generator.run(signal),
      settle: (withinMs) => generator.settle(withinMs),
      figures: () => {
        const { counts, all } = generator.statistics
        return { payment: { ...counts, latencyMs: all.percentilesMs() } }
      },
      differing: () => generator.statistics.differing,
      notSent: () => generator.notSent,
    }
  }

  #seekers(url: string): { load: SearchLoad; kind: Kind } {
    const common = this.#common<SearchLine>('search', url)
    const load = new SearchLoad({ ...common, withinMs: this.#options.findWithinMs })
    const kind: Kind = {
      service: 'search',
      run: async () => undefined,
      // Called when everybody has paid who wanted to.
      settle: () => load.ended(),
      figures: () => common.statistics.figures(),
      differing: () => 0,
      notSent: () => 0,
    }
    return { load, kind }
  }

  #guests(url: string): Kind {
    const { answerLifeMs } = this.#options
    const common = this.#common<SessionsLine>('sessions', url)
    const load = new SessionsLoad({ ...common, answerLifeMs })
    return this.#kind('sessions', common, { visit: (dueMs) => load.visit(dueMs) })
  }

  #shoppers(url: string): Kind {
    const common = this.#common<MerchantsLine>('merchants', url)
    const numbers = Array.from({ length: Math.min(sellers, this.#options.accounts - 1) }, (_, n) => firstCustomer + n)
    // Whoever sells does not buy from themselves.
    const account = () => {
      const buyers = this.#options.accounts - numbers.length
      return (
        firstCustomer + numbers.length + common.random.below(common.random.chance(0.2) ? Math.min(4, buyers) : buyers)
      )
    }
    const load = new MerchantsLoad({ ...common, account, sellers: numbers, ipnUrl: '' })
    return this.#kind('merchants', common, { prepare: () => load.onboard(), visit: (dueMs) => load.visit(dueMs) })
  }

  #members(url: string): Kind {
    const common = this.#common<ProfilesLine>('profiles', url)
    const load = new ProfilesLoad(common)
    return this.#kind('profiles', common, { visit: (dueMs) => load.visit(dueMs) })
  }

  #common<Line extends { readonly t: string }>(service: LoadedService, url: string) {
    const { timeoutMs, attempts, seed, accounts } = this.#options
    const clock = new LoadClock()
    const random = new SeededRandom(seed + Object.keys(shares).indexOf(service))
    const journal = this.#journal<Line | ReturnType<LoadClock['runLine']>>(service)
    journal.write(clock.runLine(seed, this.#rate(service)))
    return {
      client: this.#resources.use(new PatientClient({ url, timeoutMs, attempts })),
      journal: journal as JournalWriter<Line>,
      clock,
      random,
      statistics: new OperationStatistics(),
      account: () => firstCustomer + random.below(random.chance(0.2) ? Math.min(4, accounts) : accounts),
    }
  }

  #kind(
    service: LoadedService,
    { clock, statistics }: { clock: LoadClock; statistics: OperationStatistics },
    work: { prepare?: () => Promise<void>; visit: (dueMs: number) => Promise<void> },
  ): Kind {
    const pace = { rate: this.#rate(service), nowMs: () => clock.nowMs(), bursts: this.#options.bursts }
    const visits = new InFlight()
    return {
      service,
      async run(signal) {
        await work.prepare?.()
        for await (const dueMs of dueTimes({ ...pace, signal })) visits.launch(() => work.visit(dueMs))
        await visits.ended()
      },
      settle: async () => undefined,
      figures: () => statistics.figures(),
      differing: () => statistics.differing,
      notSent: () => visits.notSent,
    }
  }

  #journal<Line extends { readonly t: string }>(service: LoadedService): JournalWriter<Line> {
    const path = join(this.#options.directory, `${service}.journal`)
    return this.#resources.adopt(new JournalWriter<Line>(path), (journal) => journal.close())
  }

  #rate(service: LoadedService): number {
    const present = Object.keys(this.#options.urls) as LoadedService[]
    const all = present.reduce((sum, one) => sum + shares[one], 0)
    return (this.#options.rate * shares[service]) / all
  }
}
