import { invariant, ReplatformError, toReplatformError } from '@replatform/core/errors'
import type { Wave } from '@replatform/core/wave'
import type { OperationResult } from './api-types.ts'
import { type CutoverEnding, endCutover, type Procedure, recover } from './cutover-coordination.ts'
import type { CutoverRecord } from './cutover-records.ts'
import { HostedMove } from './hosted-move.ts'
import { keepTrying } from './keep-trying.ts'
import type { MoveRecord } from './move-records.ts'
import { finishOperation, type Performed, performOperation } from './operation-performing.ts'
import { isoNow, type Services } from './services.ts'
import { levelStep, noteWhenLevel } from './trailing.ts'

/**
 * A wave whose one host this process is. All its moves run here, because one coordinator must reach every mover inside
 * the write pause without another worker in between: runs them, ends a cutover that an earlier host had left in the
 * middle, and performs what people ask of the wave and of its moves.
 */
export class HostedWave {
  readonly wave: Wave
  readonly services: Services
  readonly moves: readonly HostedMove[]
  readonly #watching = new AbortController()
  /** Those whose level is being watched for already. */
  readonly #watched = new Set<string>()
  readonly #performing = new Map<string, Promise<void>>()
  readonly #ended = Promise.withResolvers<void>()
  #cutover: Promise<unknown> | null = null
  #isStopping = false

  private constructor(services: Services, wave: Wave, moves: readonly HostedMove[]) {
    this.services = services
    this.wave = wave
    this.moves = moves
  }

  static async load(services: Services, wave: Wave): Promise<HostedWave> {
    const moves = await Promise.all(wave.moves.map((name) => HostedMove.load(services, name)))
    return new HostedWave(services, wave, moves)
  }

  move(name: string): HostedMove {
    const move = this.moves.find((candidate) => candidate.name === name)
    invariant(move, `The wave ${this.wave.name} has no move ${name}.`)
    return move
  }

  /** Null while the move does not follow. */
  lagMsOf(move: string): number | null {
    return this.move(move).supervisor.progress.follow()?.lagMs ?? null
  }

  /** Ends a cutover that was left in the middle, then runs what should run. */
  async begin(): Promise<void> {
    const unfinished = new Map<string, CutoverRecord>()
    for (const { name } of this.moves) {
      const cutover = await this.services.cutovers.unfinished(name)
      if (cutover) unfinished.set(cutover.id, cutover)
    }
    for (const cutover of unfinished.values()) {
      await finishOperation(this.services, cutover.id, await this.recover(cutover))
    }
    for (const move of this.moves) move.startIfWanted()
    await this.#watchTrailing()
  }

  /**
   * Performs one operation and records its end. Idempotent. Throws, so that the operation comes again, when the
   * host was stopped before it had ended. One that is delivered again while it runs joins the first.
   */
  perform(id: string): Promise<void> {
    const performing = this.#performing.get(id) ?? this.#perform(id).finally(() => this.#performing.delete(id))
    this.#performing.set(id, performing)
    return performing
  }

  async #perform(id: string): Promise<void> {
    if (this.#isStopping) throw interrupted(this.wave.name)
    const { operations, clock } = this.services
    const operation = await keepTrying(clock, () => operations.get(id), this.#watching.signal)
    if (operation.state !== 'running') return
    const performed = await performOperation(this, operation)
    if (this.#isStopping && performed.error?.code === 'operation.interrupted') throw performed.error
    await finishOperation(this.services, id, performed, this.#watching.signal)
    if (performed.error) await this.#endWhatBegan(id)
    this.#noticeEnd()
  }

  /**
   * A cutover may have begun although whoever asked for that was told that the connection broke. Nothing new begins for
   * an operation that has ended, so that what stands now is all.
   */
  async #endWhatBegan(operation: string): Promise<void> {
    const { cutovers, clock } = this.services
    const begun = await keepTrying(clock, () => cutovers.find(operation), this.#watching.signal)
    if (begun?.outcome !== null) return
    await this.#reload(this.#movesOf(begun))
    const waitsForSomebody = this.#movesOf(begun).some(({ record }) => record.paused)
    if (!waitsForSomebody) await this.recover(begun)
  }

  /** Resolves when nothing is left to host: every move is finalized or was cancelled. */
  get ended(): Promise<void> {
    return this.#ended.promise
  }

  #noticeEnd(): void {
    if (this.moves.every(({ record }) => hasEnded(record))) this.#ended.resolve()
  }

  /** Runs a cutover to its end; states and operations of all its moves follow its one outcome. */
  async coordinate(cutover: CutoverRecord, procedure: Procedure): Promise<Performed> {
    const moves = this.#movesOf(cutover)
    for (const move of moves) move.enter(cutover)
    const coordination = this.#reload(moves).then(() => endCutover(this, moves, cutover, procedure))
    this.#cutover = coordination.catch(() => {})
    try {
      return await this.#concluded(moves, await coordination)
    } catch (thrown) {
      return await this.#leftOpen(moves, toReplatformError(thrown))
    } finally {
      this.#cutover = null
      for (const move of moves) move.leave()
    }
  }

  recover(cutover: CutoverRecord): Promise<Performed> {
    return this.coordinate(cutover, recover)
  }

  /** Waits for a cutover to end; interrupts everything else, at a durable point. */
  async stop(): Promise<void> {
    this.#isStopping = true
    for (const move of this.moves) move.stopStarting()
    this.#watching.abort()
    await this.#cutover
    await this.close()
  }

  async close(): Promise<void> {
    await Promise.all(this.moves.map(({ supervisor }) => supervisor.close()))
  }

  async #concluded(moves: readonly HostedMove[], { outcome, status }: CutoverEnding): Promise<Performed> {
    await this.#reload(moves)
    for (const move of moves) move.supervisor.progress.forgetFollow()
    await this.#watchTrailing()
    const result: OperationResult = { kind: 'cutover', cutover: status }
    return outcome.error ? { result, error: outcome.error } : { result }
  }

  /** A person has to look, and nothing may run meanwhile. */
  async #leftOpen(moves: readonly HostedMove[], error: ReplatformError): Promise<Performed> {
    const { clock } = this.services
    for (const move of moves) {
      await move.supervisor.close()
      await this.#reload([move])
      await keepTrying(clock, () => move.recordPause(`The cutover could not be ended: ${error.message}`, error))
    }
    await this.#openIncident(error)
    return { result: { kind: 'none' }, error }
  }

  /** In the background, for each move that trails and was not level yet after the last cutover of the wave. */
  async #watchTrailing(): Promise<void> {
    const trailing = this.moves.filter(({ pause }) => pause === 'trails')
    const last = trailing.length > 0 ? await this.services.cutovers.lastOfWave(this.wave.name) : undefined
    if (last?.direction !== 'forward' || last.outcome !== 'committed') return
    const noted = await this.services.journal.ofOperation(last.id)
    const isLevel = (name: string) => noted.some(({ step, state }) => step === levelStep(name) && state === 'done')
    for (const move of trailing) {
      const key = `${last.id} ${move.name}`
      if (isLevel(move.name) || this.#watched.has(key)) continue
      this.#watched.add(key)
      void noteWhenLevel(this.services, move, last.id, this.#watching.signal).catch((thrown) => {
        this.services.log.warn({ move: move.name, err: thrown }, 'When the move was level was not noted.')
      })
    }
  }

  async #openIncident(error: ReplatformError): Promise<void> {
    const { incidents, clock, log } = this.services
    const title = `The cutover of ${this.wave.name} could not be ended: ${error.code}`.slice(0, 200)
    const incident = { severity: 'severe', title, openedBy: 'replatform', openedAt: isoNow(clock) } as const
    await incidents.open(incident).catch((thrown) => log.error({ err: thrown }, 'The incident was not recorded.'))
  }

  async #reload(moves: readonly HostedMove[]): Promise<void> {
    for (const move of moves) await keepTrying(this.services.clock, () => move.reload())
  }

  #movesOf(cutover: CutoverRecord): HostedMove[] {
    return cutover.moves.map(({ name }) => this.move(name))
  }
}

/** Nobody needs to host it until somebody asks something of it. */
export function hasEnded({ state }: MoveRecord): boolean {
  return state === 'finalized' || state === 'cancelled'
}

function interrupted(wave: string): ReplatformError {
  return new ReplatformError('operation.interrupted', { message: `${wave}: the worker stops; the next one goes on.` })
}
