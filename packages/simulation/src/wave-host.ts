import { leaveTo } from '@replatform/control/cutover-coordination'
import { CutoverGuard } from '@replatform/control/cutover-guard'
import { type CutoverIntent, FileCutoverIntents } from '@replatform/control/cutover-intents'
import { participantOf } from '@replatform/control/cutover-participants'
import { FileDecisionStore } from '@replatform/control/file-decision-store'
import { MoveSupervisor } from '@replatform/control/move-supervisor'
import type { Direction, MoveState } from '@replatform/core/move'
import { type CutoverOptions, type CutoverOutcome, cutOver, recoverCutover } from '@replatform/engine/cutover'
import type { CutoverStep } from '@replatform/engine/cutover-steps'
import { noLimits } from '@replatform/engine/strain-watch'
import { type Machine, silent } from './machine.ts'
import type { SimProcess } from './sim-process.ts'
import type { SimStore } from './sim-store.ts'

export const stateDirectory = '/state'
export const decisionsPath = `${stateDirectory}/decisions`
const intentsPath = `${stateDirectory}/cutovers`

export interface WaveHostOptions {
  readonly machine: Machine
  readonly process: SimProcess
  readonly stores: readonly SimStore[]
  readonly budgetMs: number
  /** Told of every step that begins and ends, so that faults can strike there. */
  readonly onStep: (at: string, who: SimProcess) => void
}

/**
 * A worker as far as a wave needs one: it owns the state directory, hosts the moves of the wave, ends what an earlier
 * worker left, and cuts over when asked. Everything it does is done by the code of control and engine.
 */
export class WaveHost {
  readonly #options: WaveHostOptions
  readonly #decisions: FileDecisionStore
  readonly #intents: FileCutoverIntents
  readonly #supervisors: ReadonlyMap<string, MoveSupervisor>
  state: MoveState = 'in-sync'
  isIdle = false
  #latest: string | null = null
  #stateOfFlow: MoveState = 'in-sync'

  private constructor(options: WaveHostOptions, decisions: FileDecisionStore, intents: FileCutoverIntents) {
    this.#options = options
    this.#decisions = decisions
    this.#intents = intents
    this.#supervisors = new Map(options.stores.map(({ name }) => [name, this.#supervisor(name)]))
  }

  /** Waits until no other worker owns the state, then takes over what stands there. */
  static async boot(options: WaveHostOptions): Promise<WaveHost> {
    const { machine, process } = options
    while (!(await machine.acquireLock(process, stateDirectory))) await process.clock.sleep(50)
    const files = machine.files.for(process)
    const decisions = await FileDecisionStore.open(decisionsPath, files)
    const host = new WaveHost(options, decisions, await FileCutoverIntents.open(intentsPath, files))
    await host.#recover()
    return host
  }

  /** Throws where a person would have to look. */
  async cutOver(id: string): Promise<void> {
    this.isIdle = false
    const direction: Direction = this.state === 'reversing' ? 'reverse' : 'forward'
    const { stores, budgetMs } = this.#options
    const moves = stores.map(({ name }) => ({ name, stateBefore: this.state }))
    const intent = { id, direction, budgetMs, predictedMs: null, moves, wave: null }
    await this.#intents.announce(intent)
    await this.#coordinate(intent, cutOver)
  }

  /** The newest intent that stands there tells where the wave is, and is brought to its end. */
  async #recover(): Promise<void> {
    const known: CutoverIntent[] = []
    const records = {
      find: async () => undefined,
      restore: async (intent: CutoverIntent) => void known.push(intent),
    }
    await this.#intents.restore(records as never)
    const newest = known.sort((a, b) => numberOf(a.id) - numberOf(b.id)).at(-1)
    if (newest) await this.#coordinate(newest, recoverCutover)
    else this.#follow('in-sync')
  }

  async #coordinate(
    intent: CutoverIntent,
    procedure: (options: CutoverOptions) => Promise<CutoverOutcome>,
  ): Promise<void> {
    const { process, onStep } = this.#options
    const { id, direction, budgetMs } = intent
    this.#latest = id
    this.#stateOfFlow = intent.moves[0]?.stateBefore ?? 'in-sync'
    const guard = procedure === cutOver ? await this.#startGuard(intent) : null
    const started = async (step: CutoverStep) => {
      if (step.name === 'hold') await guard?.arm()
      onStep(`before ${step.name}`, process)
    }
    const outcome = await procedure({
      id,
      direction,
      budgetMs,
      participants: this.#participants(direction),
      decisions: this.#decisions,
      journal: {
        started,
        finished: ({ name }) => onStep(`after ${name}`, process),
        failed: ({ name }) => onStep(`after ${name}`, process),
      },
      clock: process.clock,
      isOurs: async () => this.#latest === id,
    }).catch((thrown) => {
      leaveTo(guard, thrown)
      throw thrown
    })
    guard?.end()
    const there = direction === 'forward' ? 'reversing' : 'rolled-back'
    this.#follow(outcome.decision.outcome === 'committed' ? there : this.#stateOfFlow)
  }

  #startGuard({ id, direction, budgetMs, moves }: CutoverIntent): Promise<CutoverGuard | null> {
    const { machine, process } = this.#options
    const specs = moves.map(({ name }) => specOf(name))
    const order = { id, direction, budgetMs, moves: specs, wave: null, decisionsPath, stateDirectory }
    return CutoverGuard.start(machine.startGuard(process), order).catch(() => null)
  }

  #participants(direction: Direction) {
    const { machine, process, stores, budgetMs } = this.#options
    return stores.map(({ name }) =>
      participantOf({
        name,
        direction,
        budgetMs,
        supervisor: this.#supervisors.get(name) as MoveSupervisor,
        routings: [machine.openRouting(process, name)],
      }),
    )
  }

  #follow(state: MoveState): void {
    this.state = state
    this.#stateOfFlow = state
    for (const supervisor of this.#supervisors.values()) supervisor.start()
    this.isIdle = true
  }

  #supervisor(name: string): MoveSupervisor {
    const { machine, process } = this.#options
    return new MoveSupervisor({
      spec: specOf(name),
      startMover: () => machine.startMover(process, name),
      where: () => {
        const state = this.#stateOfFlow
        return { state, direction: state === 'reversing' ? 'reverse' : 'forward' }
      },
      limits: () => noLimits,
      onState: async () => {},
      onPaused: async (error) => machine.world.tell(process.name, `${name} is paused: ${error.message}`),
      clock: process.clock,
      log: silent,
    })
  }
}

function specOf(name: string) {
  const side = { kind: 'postgresql', url: name } as const
  return { name, store: { source: side, target: side }, tools: {} }
}

function numberOf(id: string): number {
  return Number(id.split('-').at(-1))
}
