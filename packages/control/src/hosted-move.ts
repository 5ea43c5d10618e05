import { ReplatformError, toReplatformError } from '@replatform/core/errors'
import { type Direction, directionOf, type MoveState } from '@replatform/core/move'
import type { OperationResult } from './api-types.ts'
import { type CutoverEnding, endCutover, recover } from './cutover-coordination.ts'
import type { CutoverRecord } from './cutover-records.ts'
import type { MoveRecord } from './move-records.ts'
import { MoveSupervisor } from './move-supervisor.ts'
import type { OperationRecord } from './operation-records.ts'
import { isFulfilled, requireAllowed } from './operation-rules.ts'
import { StepRunner } from './operation-steps.ts'
import { isoNow, type Services } from './services.ts'
import { handlerOf } from './verb-handlers.ts'

/** States that a mover reports about itself; all others are decided here. */
const flowingForward: readonly MoveState[] = ['planned', 'prepared', 'loading', 'catching-up', 'in-sync']

/** What an operation came to. Both are set where a failure has something to show, such as findings that block. */
export interface Performed {
  readonly result: OperationResult
  readonly error?: ReplatformError
}

/**
 * A move whose one host this process is: runs its mover, ends what an earlier host had left in the middle, and
 * performs what people ask.
 */
export class HostedMove {
  readonly name: string
  readonly services: Services
  readonly supervisor: MoveSupervisor
  #record: MoveRecord
  #cutover: { readonly record: CutoverRecord; readonly ended: Promise<unknown> } | null = null
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
      onState: (state) => this.#reached(state),
      onPaused: (error) => this.pause(error.message, error),
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

  /** Ends a cutover that was left in the middle, then runs what should run. */
  async begin(): Promise<void> {
    const cutover = await this.services.cutovers.unfinished(this.name)
    if (cutover) await this.finish(cutover.id, await this.recover(cutover))
    this.startIfWanted()
  }

  startIfWanted(): void {
    const flows = directionOf(this.#record.state) !== undefined
    if (this.#record.shouldRun && flows && !this.#isStopping) this.supervisor.start()
  }

  /** Takes over the record that a change returned. */
  async update(change: Promise<MoveRecord>): Promise<void> {
    this.#record = await change
  }

  async reload(): Promise<void> {
    await this.update(this.services.moves.get(this.name))
  }

  async pause(reason: string, error: ReplatformError | null): Promise<void> {
    await this.update(this.services.moves.pause(this.name, reason, error?.toJSON() ?? null))
  }

  /**
   * Performs one operation and records its end. Idempotent. Throws, so that the operation comes again, when the
   * host was stopped before it had ended.
   */
  async perform(id: string): Promise<void> {
    if (this.#isStopping) throw interrupted(this.name)
    const operation = await this.services.operations.get(id)
    if (operation.state !== 'running') return
    const performed = await this.#attempt(operation)
    if (this.#isStopping && performed.error?.code === 'operation.interrupted') throw performed.error
    await this.finish(id, performed)
  }

  /** Runs a cutover in which this move takes part; states and operations follow its outcome. */
  async coordinate(cutover: CutoverRecord, coordination: Promise<CutoverEnding>): Promise<Performed> {
    this.#cutover = { record: cutover, ended: coordination.catch(() => {}) }
    try {
      const { outcome, status } = await coordination
      await this.reload()
      this.supervisor.progress.forgetFollow()
      const result: OperationResult = { kind: 'cutover', cutover: status }
      return outcome.error ? { result, error: outcome.error } : { result }
    } catch (thrown) {
      const error = toReplatformError(thrown)
      await this.supervisor.close()
      await this.reload()
      await this.pause(`The cutover could not be ended: ${error.message}`, error)
      return { result: { kind: 'none' }, error }
    } finally {
      this.#cutover = null
      this.startIfWanted()
    }
  }

  recover(cutover: CutoverRecord): Promise<Performed> {
    return this.coordinate(cutover, endCutover(this, cutover, recover))
  }

  async finish(operation: string, { result, error }: Performed): Promise<void> {
    const { operations, audit, clock } = this.services
    const at = isoNow(clock)
    const isFirst = await operations.finish(operation, { result, error: error?.toJSON() ?? null, at })
    if (!isFirst) return
    const { verb, actor, move } = await operations.get(operation)
    const detail = error ? `${error.code}: ${error.message}` : summary(result)
    await audit.append({ at, actor, verb, move, outcome: error ? 'failed' : 'done', detail })
  }

  /** Waits for a cutover to end; interrupts everything else, at a durable point. */
  async stop(): Promise<void> {
    this.#isStopping = true
    await this.#cutover?.ended
    await this.supervisor.close()
  }

  async #attempt(operation: OperationRecord): Promise<Performed> {
    const { cutovers, journal, clock } = this.services
    try {
      await this.reload()
      const earlier = await cutovers.find(operation.id)
      if (earlier) return await this.recover(earlier)
      if (isFulfilled(operation.verb, this.#record)) return { result: { kind: 'none' } }
      requireAllowed(operation.verb, this.#record)
      return await handlerOf(operation.verb)(this, operation, new StepRunner(journal, clock, operation))
    } catch (thrown) {
      return { result: { kind: 'none' }, error: toReplatformError(thrown) }
    }
  }

  #where(): { direction: Direction; state: MoveState } {
    const state = this.#stateOfFlow()
    return { direction: directionOf(state) ?? 'forward', state }
  }

  /** During a cutover the flow goes on as it did before. */
  #stateOfFlow(): MoveState {
    const before = this.#cutover?.record.moves.find((move) => move.name === this.name)?.stateBefore
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

function interrupted(move: string): ReplatformError {
  return new ReplatformError('operation.interrupted', { message: `${move}: the worker stops; the next one goes on.` })
}

function summary(result: OperationResult): string {
  switch (result.kind) {
    case 'findings':
      return `${result.findings.length} findings`
    case 'compare':
      return result.report.equal ? 'equal' : 'different'
    case 'cutover':
      return `${result.cutover.outcome}, write pause ${Math.round(result.cutover.pauseMs ?? 0)} ms`
    case 'none':
      return ''
  }
}
