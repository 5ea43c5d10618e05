import { FileCutoverIntents, noIntents } from '@replatform/control/cutover-intents'
import { FileDecisionStore } from '@replatform/control/file-decision-store'
import type { Hosting } from '@replatform/control/hosting'
import { Jobs } from '@replatform/control/jobs'
import type { MoveRecord } from '@replatform/control/move-records'
import { OperationDesk } from '@replatform/control/operation-desk'
import type { Connectors, CutoverMoment, Services } from '@replatform/control/services'
import { takeUp } from '@replatform/control/taking-up'
import type { Estate } from '@replatform/core/estate'
import { type Machine, silent } from './machine.ts'
import { type Habits, SimBoss, type WakeUps } from './sim-boss.ts'
import type { SimControl } from './sim-control.ts'
import type { SimProcess } from './sim-process.ts'

export const stateDirectory = '/state'
export const decisionsPath = `${stateDirectory}/decisions`
const intentsPath = `${stateDirectory}/cutovers`

/** Where a worker keeps what it must not forget. */
export interface ControlPlace {
  readonly control: SimControl
  readonly wakeUps: WakeUps
  readonly habits: Habits
  /** In the worker's own state directory, with flushed files beside it, rather than on a server that others share. */
  readonly isEmbedded: boolean
}

export interface SimWorkerOptions {
  readonly machine: Machine
  readonly process: SimProcess
  readonly estate: Estate
  readonly place: ControlPlace
  readonly onStep: (moment: CutoverMoment, who: SimProcess) => void
}

/** A worker: the code of `control` from the open control database on, in a simulated process. */
export class SimWorker {
  readonly desk: OperationDesk
  readonly process: SimProcess
  readonly machine: Machine
  readonly #hosting: Hosting
  readonly #services: Services

  private constructor({ process, machine }: SimWorkerOptions, services: Services, jobs: Jobs, hosting: Hosting) {
    this.process = process
    this.machine = machine
    this.#services = services
    this.desk = new OperationDesk(services, jobs, (move) => hosting.lagMsOf(move))
    this.#hosting = hosting
  }

  /** Waits until no other worker owns the state directory, then takes over what stands there. */
  static async start(options: SimWorkerOptions): Promise<SimWorker> {
    const { machine, process, place } = options
    while (!(await machine.acquireLock(process, stateDirectory))) await process.clock.sleep(50)
    const files = machine.files.for(process)
    const intents = place.isEmbedded ? await FileCutoverIntents.open(intentsPath, files) : null
    const decisions = place.isEmbedded
      ? await FileDecisionStore.open(decisionsPath, files)
      : place.control.decisions(process)
    const boss = new SimBoss(process, place.control, place.wakeUps, place.habits)
    const jobs = await Jobs.over(boss, options.estate.estate)
    const services = servicesOf(options, { decisions, intents: intents ?? noIntents })
    const most = Number.POSITIVE_INFINITY
    const hosting = await takeUp(services, jobs, { lost: intents, isAlone: place.isEmbedded, most })
    return new SimWorker(options, services, jobs, hosting)
  }

  /** As `replatform status` shows them. */
  moves(): Promise<MoveRecord[]> {
    return this.#services.moves.list()
  }

  /** Whether it believes to host the move just now. */
  hosts(move: string): boolean {
    return this.process.isAlive && this.#hosting.get(move) !== undefined
  }

  /** As by `replatform worker stop`: returns when everything has come to a durable point. */
  async stop(): Promise<void> {
    await this.#hosting.stop()
  }
}

function servicesOf(
  { machine, process, estate, place, onStep }: SimWorkerOptions,
  flushed: Pick<Services, 'decisions' | 'intents'>,
): Services {
  const { control, isEmbedded } = place
  return {
    ...control.records(process),
    ...flushed,
    estate,
    guard: {
      spawn: () => machine.startGuard(process, control),
      decisionsPath: isEmbedded ? decisionsPath : null,
      stateDirectory,
    },
    connectors: connectorsOf(machine, process),
    startMover: (move) => machine.startMover(process, move),
    onStep: (moment) => onStep(moment, process),
    tell: () => {},
    clock: process.clock,
    newId: () => machine.world.newId('operation'),
    log: silent,
  }
}

function connectorsOf(machine: Machine, process: SimProcess): Connectors {
  return {
    describeRoute: () => ({
      name: 'simulated→simulated',
      declares: {
        load: 'chunks',
        follow: 'after-load',
        epoch: 'transaction',
        fence: { source: true, target: true },
        delivery: 'exactly-once',
        reverse: 'stream',
        pause: 'joins',
      },
    }),
    // The side's address is the name of the store.
    createRoutings: ({ source }) => [machine.openRouting(process, String(source.url))],
    createGateways: () => [],
    createCopies: () => [],
  }
}
