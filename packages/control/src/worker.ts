import { randomUUID } from 'node:crypto'
import type { Log } from '@replatform/core/connector'
import type { Estate } from '@replatform/core/estate'
import { type Clock, systemClock } from '@replatform/engine/clock'
import type { DecisionStore } from '@replatform/engine/decision-store'
import { type RemoteOptions, serveApi, serveRemoteApi } from './api.ts'
import type { AuditEntry, EstateStatus } from './api-types.ts'
import { Approvals } from './approvals.ts'
import { AuditAnchor } from './audit-anchor.ts'
import { AuditLog } from './audit-log.ts'
import { type ControlDatabase, openEmbeddedDatabase, openSharedDatabase } from './control-database.ts'
import { forkGuard } from './cutover-guard.ts'
import { FileCutoverIntents, noIntents } from './cutover-intents.ts'
import { CutoverRecords } from './cutover-records.ts'
import { estateStatus } from './estate-status.ts'
import { FileDecisionStore } from './file-decision-store.ts'
import type { Hosting } from './hosting.ts'
import { Incidents } from './incidents.ts'
import { Jobs } from './jobs.ts'
import { Journal } from './journal.ts'
import { Metrics } from './metrics.ts'
import { MoveRecords } from './move-records.ts'
import { MoverProcess } from './mover-process.ts'
import { deliver } from './notification-delivery.ts'
import { type Delivery, type News, Notifier, newsOfEntry, targetKey } from './notifications.ts'
import { OperationDesk } from './operation-desk.ts'
import { OperationRecords } from './operation-records.ts'
import { PostgresqlDecisionStore } from './postgresql-decision-store.ts'
import { Rehearsals } from './rehearsals.ts'
import { type Connectors, isoNow, type Services } from './services.ts'
import { StateDirectory } from './state-directory.ts'
import { takeUp } from './taking-up.ts'
import { WaveDesk } from './wave-desk.ts'

export interface WorkerOptions extends Connectors {
  readonly estate: Estate
  /** Created where there is none. One worker at a time may own it. */
  readonly stateDirectory: string
  /** A PostgreSQL that several workers share; PGlite inside the state directory where it is not given. */
  readonly controlUrl?: string | undefined
  /** Module that a mover process runs. */
  readonly moverMain: URL
  /** Module that guards a cutover while writes are held; without one a coordinator that dies leaves them held. */
  readonly guardMain?: URL | undefined
  /** Of the addresses and secrets of notifications, at the moment of use; without it none are delivered. */
  readonly resolveSecret?: ((reference: string) => string) | undefined
  /** Where the control API is served beyond the local socket; nowhere where it is not given. */
  readonly remote?: RemoteOptions | undefined
  /** Shown in the status. */
  readonly version: string
  /** How many waves this worker hosts at once; all of the estate where it is not given, and none for 0. */
  readonly mostWaves?: number | undefined
  readonly log: Log
  readonly clock?: Clock
}

export interface Worker {
  /** Movers end at a durable point, a cutover is taken to its end; then everything is closed. Idempotent. */
  stop(): Promise<void>
  /** Resolves when it has stopped, by `stop` or through the API. */
  readonly stopped: Promise<void>
  status(): Promise<EstateStatus>
}

/**
 * Opens the state, takes over what an earlier worker left, and serves the control API. Throws `state.locked`,
 * `state.newer-version`, `state.unusable`, `control.unreachable` or `estate.no-route`, and leaves nothing open then.
 */
export async function startWorker(options: WorkerOptions): Promise<Worker> {
  await using opened = new AsyncDisposableStack()
  const { estate, log } = options
  const directory = opened.use(await StateDirectory.open(options.stateDirectory))
  const database = opened.use(await openDatabase(options, directory))
  const intents = database.kind === 'pglite' ? await FileCutoverIntents.open(directory.intentsPath) : null
  const decisions = await openDecisions(database, directory)
  const jobs = opened.adopt(await Jobs.start(database, estate.estate, log), (started) => started.stop())
  const services = createServices(options, directory, database, jobs, {
    decisions,
    intents: intents ?? noIntents,
    guard: guardOf(options, database, directory),
  })
  // Nobody but us can hold a claim in our own database: the state directory is locked.
  const own = { lost: intents, isAlone: database.kind === 'pglite' }
  const most = options.mostWaves ?? Number.POSITIVE_INFINITY
  const hosting = opened.adopt(await takeUp(services, jobs, { ...own, most }), (started) => started.stop())

  const worker = new RunningWorker(services, hosting, database.kind, options.version)
  const desk = new OperationDesk(services, jobs, (move) => hosting.lagMsOf(move))
  const waveDesk = new WaveDesk(services)
  const metrics = new Metrics()
  const backend = {
    status: () => worker.status(),
    ask: desk.ask.bind(desk),
    askWave: desk.askWave.bind(desk),
    look: desk.look.bind(desk),
    history: desk.history.bind(desk),
    approve: waveDesk.approve.bind(waveDesk),
    openIncident: waveDesk.openIncident.bind(waveDesk),
    closeIncident: waveDesk.closeIncident.bind(waveDesk),
    listIncidents: waveDesk.listIncidents.bind(waveDesk),
    audit: (limit: number) => services.audit.list(limit),
    verifyAudit: () => services.audit.verify(),
    journal: (move: string, limit: number) => services.journal.ofMove(move, limit),
    metrics: async () => ({ contentType: metrics.contentType, text: await metrics.text(await worker.status()) }),
    stop: () => void worker.stop().catch((thrown) => log.error({ err: thrown }, 'The worker did not stop cleanly.')),
  }
  opened.adopt(await serveApi(directory.socketPath, backend, log), (server) => server.close())
  await deliverNotifications(options, jobs)
  if (options.remote) {
    opened.adopt(await serveRemoteApi(options.remote, backend, log), (server) => server.close())
  }
  worker.owns(opened.move(), () => desk.tellEnds(tellEndsWithinMs))
  log.info({ estate: estate.estate, control: database.kind }, 'The worker is ready.')
  return worker
}

/** Longer than a client takes between two looks. */
const tellEndsWithinMs = 1_500

class RunningWorker implements Worker {
  readonly #services: Services
  readonly #hosting: Hosting
  readonly #about: EstateStatus['worker']
  readonly #stopped = Promise.withResolvers<void>()
  #opened = new AsyncDisposableStack()
  #tellEnds = async (): Promise<void> => {}
  #isStopping = false

  constructor(services: Services, hosting: Hosting, control: EstateStatus['worker']['control'], version: string) {
    this.#services = services
    this.#hosting = hosting
    this.#about = { pid: process.pid, version, startedAt: isoNow(services.clock), control }
  }

  get stopped(): Promise<void> {
    return this.#stopped.promise
  }

  owns(opened: AsyncDisposableStack, tellEnds: () => Promise<void>): void {
    this.#opened = opened
    this.#tellEnds = tellEnds
  }

  status(): Promise<EstateStatus> {
    return estateStatus(this.#services, this.#hosting, this.#about)
  }

  async stop(): Promise<void> {
    if (this.#isStopping) return this.stopped
    this.#isStopping = true
    try {
      await this.#tellEnds()
      await this.#opened.disposeAsync()
    } finally {
      this.#stopped.resolve()
    }
  }
}

function openDatabase({ controlUrl, log }: WorkerOptions, directory: StateDirectory): Promise<ControlDatabase> {
  if (controlUrl === undefined) return openEmbeddedDatabase(directory.databasePath)
  return openSharedDatabase(controlUrl, log)
}

function guardOf(
  { guardMain, log }: WorkerOptions,
  database: ControlDatabase,
  directory: StateDirectory,
): Services['guard'] {
  if (!guardMain) return null
  const decisionsPath = database.kind === 'pglite' ? directory.decisionsPath : null
  return { spawn: () => forkGuard(guardMain, log), decisionsPath, stateDirectory: directory.path }
}

async function openDecisions(database: ControlDatabase, directory: StateDirectory): Promise<DecisionStore> {
  if (database.kind === 'postgresql') return new PostgresqlDecisionStore(database)
  return FileDecisionStore.open(directory.decisionsPath)
}

function createServices(
  options: WorkerOptions,
  directory: StateDirectory,
  database: ControlDatabase,
  jobs: Jobs,
  flushed: Pick<Services, 'decisions' | 'intents' | 'guard'>,
): Services {
  const { estate, log, moverMain, clock = systemClock } = options
  const moves = new MoveRecords(database, estate.estate)
  const send = (delivery: Delivery) => jobs.sendNotification(delivery)
  const notifier = new Notifier({ estate, send, newId: randomUUID, log })
  const tell = (news: News) => notifier.tell(news)
  const onEntry = (entry: Omit<AuditEntry, 'id'>) => {
    const news = newsOfEntry(entry)
    if (news) tell(news)
  }
  return {
    tell,
    estate,
    moves,
    cutovers: new CutoverRecords(database, estate.estate, moves),
    operations: new OperationRecords(database, estate.estate),
    journal: new Journal(database, estate.estate),
    audit: new AuditLog({
      database,
      estate: estate.estate,
      anchor: new AuditAnchor(directory.auditHeadPath),
      onEntry,
      log,
    }),
    approvals: new Approvals(database, estate.estate),
    incidents: new Incidents(database, estate.estate),
    rehearsals: new Rehearsals(database, estate.estate),
    ...flushed,
    connectors: options,
    startMover: (move) => MoverProcess.start({ main: moverMain, move, log }),
    onStep: ({ cutover, when, step }) => log.info({ cutover, step }, `A cutover is ${when} a step.`),
    clock,
    newId: randomUUID,
    log,
  }
}

async function deliverNotifications({ estate, resolveSecret, log }: WorkerOptions, jobs: Jobs): Promise<void> {
  const targets = estate.notify ?? []
  if (!resolveSecret || targets.length === 0) return
  await jobs.workNotifications(async ({ target, notification }) => {
    const found = targets.find((entry) => targetKey(entry) === target)
    // The estate file names it no longer.
    if (!found) return
    try {
      await deliver(found, notification, resolveSecret)
    } catch (thrown) {
      log.warn({ target, reason: (thrown as Error).message }, 'A notification was not delivered; it is tried again.')
      throw thrown
    }
  })
}
