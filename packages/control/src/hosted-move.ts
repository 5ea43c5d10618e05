import { ReplatformError } from '@replatform/core/errors'
import { type Direction, directionOf, type MoveState } from '@replatform/core/move'
import type { CutoverRecord } from './cutover-records.ts'
import { limitsOf } from './move-limits.ts'
import type { MoveRecord } from './move-records.ts'
import { MoveSupervisor } from './move-supervisor.ts'
import { newsOfMove } from './notifications.ts'
import { isoNow, type Services } from './services.ts'

/** States that a mover reports about itself; all others are decided here. */
const flowingForward: readonly MoveState[] = ['planned', 'prepared', 'loading', 'catching-up', 'in-sync']

/** A move whose one host this process is: its record, and the mover that runs for it. */
export class HostedMove {
  readonly name: string
  readonly services: Services
  readonly supervisor: MoveSupervisor
  #record: MoveRecord
  #cutover: CutoverRecord | null = null
  #isStopping = false

  private constructor(services: Services, record: MoveRecord) {
    const { clock, log, startMover } = services
    const { name } = record
    this.name = name
    this.services = services
    this.#record = record
    this.supervisor = new MoveSupervisor({
      spec: { name, store: this.store, tools: services.estate.tools ?? {} },
      startMover: () => startMover(name),
      where: () => this.#where(),
      limits: () => limitsOf(this.store, this.#record),
      onState: (state) => this.#reached(state),
      onPaused: (error) => this.recordPause(error.message, error),
      clock,
      log,
    })
  }

  static async load(services: Services, name: string): Promise<HostedMove> {
    return new HostedMove(services, await services.moves.get(name))
  }

  get record(): MoveRecord {
    return this.#record
  }

  get store() {
    const store = this.services.estate.stores[this.name]
    if (store) return store
    throw new ReplatformError('estate.unknown-move', { message: `The estate has no store "${this.name}".` })
  }

  /** `joins`: it takes part in the write pause of its wave. `trails`: it follows, and is switched by itself. */
  get pause(): 'joins' | 'trails' {
    return this.services.connectors.describeRoute(this.store).declares.pause
  }

  startIfWanted(): void {
    const flows = directionOf(this.#record.state) !== undefined
    if (this.#record.shouldRun && flows && !this.#isStopping) this.supervisor.start()
  }

  /** Takes over the record that a change returned. */
  async update(change: Promise<MoveRecord>): Promise<void> {
    const before = this.#record
    this.#record = await change
    const { clock, tell } = this.services
    const news = newsOfMove(before, this.#record, isoNow(clock))
    if (news) tell(news)
  }

  async reload(): Promise<void> {
    await this.update(this.services.moves.get(this.name))
  }

  /** From now on nothing is meant to run, until somebody resumes. */
  async recordPause(reason: string, error: ReplatformError | null): Promise<void> {
    await this.update(this.services.moves.pause(this.name, reason, error?.toJSON() ?? null))
  }

  /** While a cutover is in work the flow goes on as it did before. */
  enter(cutover: CutoverRecord): void {
    this.#cutover = cutover
  }

  leave(): void {
    this.#cutover = null
    this.startIfWanted()
  }

  /** Nothing is started from here on. */
  stopStarting(): void {
    this.#isStopping = true
  }

  #where(): { direction: Direction; state: MoveState } {
    const state = this.#stateOfFlow()
    return { direction: directionOf(state) ?? 'forward', state }
  }

  #stateOfFlow(): MoveState {
    const before = this.#cutover?.moves.find((move) => move.name === this.name)?.stateBefore
    return before ?? this.#record.state
  }

  async #reached(state: MoveState): Promise<void> {
    // A report that was on its way when the cutover began says nothing any more.
    if (!flowingForward.includes(this.#record.state) || !flowingForward.includes(state)) return
    const { moves, journal, clock } = this.services
    await this.update(moves.transition(this.name, state))
    const description = `The move became ${state}.`
    await journal.noted({ move: this.name, operation: null, name: state, description }, isoNow(clock))
  }
}
