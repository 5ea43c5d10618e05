/** What a payment company has before it moves: stores, services under load, a gateway; and empty stores in the cloud. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startGateway } from '@replatform/example-payments/stage/gateway'
import { type RabbitmqServer, startRabbitmq } from '@replatform/testkit/rabbitmq-server'
import { createTempFolder } from '@replatform/testkit/temp-folder'
import { EventsStage } from './events-stage.ts'
import { LedgerStage } from './ledger-stage.ts'
import { type LoadLine, PaymentsLoad } from './payments-load.ts'
import type { PlayOptions } from './play-options.ts'
import { waves } from './script.ts'
import { SessionsStage } from './sessions-stage.ts'

const accounts = 2_000

export class Stage implements AsyncDisposable {
  readonly folder: string
  readonly ledger: LedgerStage
  readonly sessions: SessionsStage
  /** None where the phase that moves them is not played. */
  readonly events: EventsStage | null
  readonly #gateway: string
  readonly #opened: AsyncDisposableStack
  #load: PaymentsLoad | null = null

  static async open({ history, phases }: PlayOptions): Promise<Stage> {
    await using opened = new AsyncDisposableStack()
    const { path: folder } = opened.use(await createTempFolder('replatform-demo'))
    const use = async <T extends AsyncDisposable>(opening: Promise<T>) => opened.use(await opening)
    const withEvents = phases.includes('replatform')
    const [ledger, sessions, broker] = await allOrThrow([
      use(LedgerStage.open({ folder, accounts, history })),
      use(SessionsStage.open(folder)),
      withEvents ? use(startRabbitmq()) : null,
    ])
    const events = broker && (await use(openEvents({ folder, ledger, broker })))
    const gateway = await use(startGateway({ wallet: ledger.walletUrl, sessions: sessions.url }))
    const stage = new Stage({ folder, ledger, sessions, events, gateway: gateway.url, opened: opened.move() })
    await writeFile(join(folder, 'estate.yaml'), stage.#estateFile())
    return stage
  }

  private constructor({ folder, ledger, sessions, events, gateway, opened }: Parts) {
    this.folder = folder
    this.ledger = ledger
    this.sessions = sessions
    this.events = events
    this.#gateway = gateway
    this.#opened = opened
  }

  /** For the command line: the references of the estate file resolve in it. */
  get env(): Readonly<Record<string, string>> {
    return { ...this.ledger.env, ...this.sessions.env, ...this.events?.env }
  }

  get journal(): string {
    return join(this.folder, 'load.journal')
  }

  /** Notes what the ledger holds, then lets payments and logins begin. */
  async startPayments({ rate, seed }: PlayOptions): Promise<PaymentsLoad> {
    await this.ledger.recordBaseline()
    const gateway = this.#gateway
    const load = await PaymentsLoad.start({ gateway, rate, accounts, seed, journal: this.journal })
    this.#load = this.#opened.use(load)
    await this.sessions.startLoad({ gateway, rate: Math.ceil(rate / 5), seed })
    return load
  }

  /** Ends all loads. What payments say of themselves at their end. */
  async stopPayments(): Promise<LoadLine> {
    if (!this.#load) throw new Error('No payments were started.')
    const [line] = await Promise.all([this.#load.stop(), this.sessions.stopLoad()])
    return line
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync()
  }

  #estateFile(): string {
    const { rehost, replatform } = waves
    const stores = [this.ledger, this.sessions, this.events].map((each) => each?.store ?? '')
    const messages = `  - { name: ${replatform.name}, phase: replatform, moves: [${replatform.moves}], pauseBudget: 20s }\n`
    return `estate: wallet
stores:
${stores.join('')}waves:
  - { name: ${rehost.name}, phase: rehost, moves: [${rehost.moves}], pauseBudget: 4s, rollbackBudget: 10s }
${this.events ? messages : ''}`
  }
}

interface Parts {
  readonly folder: string
  readonly ledger: LedgerStage
  readonly sessions: SessionsStage
  readonly events: EventsStage | null
  readonly gateway: string
  readonly opened: AsyncDisposableStack
}

async function openEvents(parts: {
  folder: string
  ledger: LedgerStage
  broker: RabbitmqServer
}): Promise<EventsStage> {
  const { folder, ledger, broker } = parts
  const consumersUrl = await ledger.createConsumers()
  return EventsStage.open({ folder, broker, consumersUrl, ledgerUrl: ledger.pooledUrl })
}

/** Waits for all of them, also when one fails: what starts late must be disposed of as well. */
async function allOrThrow<const Values extends readonly unknown[]>(
  starting: Values,
): Promise<{ -readonly [Index in keyof Values]: Awaited<Values[Index]> }> {
  await Promise.allSettled(starting)
  return (await Promise.all(starting)) as { -readonly [Index in keyof Values]: Awaited<Values[Index]> }
}
