import { ReplatformError, toReplatformError } from '@replatform/core/errors'
import { type Wave, waveOf, wavesOf } from '@replatform/core/wave'
import { noLimits } from '@replatform/engine/strain-watch'
import type { AuditEntry, Operation, OperationRequest, OperationVerb, PastOperation, WaveVerb } from './api-types.ts'
import type { JobQueue } from './jobs.ts'
import { stepsTaken } from './journal.ts'
import type { OperationRecord } from './operation-records.ts'
import { isExclusive, requireAllowed } from './operation-rules.ts'
import { planSteps } from './operation-steps.ts'
import { type OperationSubject, subjectOf } from './operation-subject.ts'
import { isoNow, type Services } from './services.ts'
import { declaredWave } from './wave-desk.ts'
import { type LagOf, previewWave } from './wave-preview.ts'
import { requireAlone, requireWaveAllowed, type WaveMember } from './wave-rules.ts'

/** What somebody asks for, found to be known and allowed. */
interface Asked extends OperationSubject {
  readonly verb: OperationVerb
  readonly host: Wave
  readonly claims: readonly string[]
}

/** Takes what people ask of moves and waves, whichever worker hosts them, and says how far it has come. */
export class OperationDesk {
  readonly #services: Services
  readonly #jobs: JobQueue
  readonly #lagMsOf: LagOf
  /** Asked here, and nobody was told the end yet. */
  readonly #untold = new Set<string>()

  constructor(services: Services, jobs: JobQueue, lagMsOf: LagOf) {
    this.#services = services
    this.#jobs = jobs
    this.#lagMsOf = lagMsOf
  }

  /** Answers as soon as the request is recorded. A refusal throws and stands in the audit log. */
  ask(verb: OperationVerb, move: string, request: OperationRequest): Promise<Operation> {
    return this.#take(verb, { move, wave: null }, request, () => this.#allowedOfMove(verb, move))
  }

  /** The same of a wave as a whole. */
  askWave(verb: WaveVerb, wave: string, request: OperationRequest): Promise<Operation> {
    return this.#take(verb, { move: null, wave }, request, () => this.#allowedOfWave(verb, wave))
  }

  /** Throws `operation.unknown`. */
  async look(id: string): Promise<Operation> {
    const { operations, journal } = this.#services
    const operation = await operations.get(id)
    if (operation.state !== 'running') this.#untold.delete(id)
    // What a rehearsal leaves out stays out; other verbs have steps that go on behind them.
    const isOver = operation.state === 'failed' || (operation.verb === 'rehearse' && operation.state === 'done')
    const steps = stepsTaken(operation.plan, await journal.ofOperation(id), isOver)
    return toOperation(operation, steps)
  }

  /**
   * Returns when whoever asked for something was told how it ended, or has not asked for that within the time: a worker
   * that stops the moment a move has ended would leave its asker without an answer.
   */
  async tellEnds(withinMs: number): Promise<void> {
    const { clock } = this.#services
    for (const deadline = clock.now() + withinMs; this.#untold.size > 0 && clock.now() < deadline; ) {
      await clock.sleep(50)
    }
  }

  /** What was asked of a wave and of its moves, oldest first. Throws `estate.unknown-wave`. */
  async history(name: string): Promise<PastOperation[]> {
    const { moves } = declaredWave(wavesOf(this.#services.estate), name)
    const records = await this.#services.operations.ofWave(name, moves)
    // What a dry run answers ends the moment it began and was asked for nothing.
    const real = records.filter(({ state, startedAt, finishedAt }) => state !== 'done' || startedAt !== finishedAt)
    return real.map(({ id, verb, move, wave, state, actor, reason, startedAt, finishedAt, error }) => {
      return { id, verb, move, wave, state, actor, reason, startedAt, finishedAt, error: error?.code ?? null }
    })
  }

  async #take(
    verb: OperationVerb,
    subject: OperationSubject,
    request: OperationRequest,
    find: () => Promise<Asked>,
  ): Promise<Operation> {
    if (request.override && !request.reason) {
      throw new ReplatformError('usage', { message: 'An override needs a reason: it goes into the audit log.' })
    }
    if ((verb === 'throttle') !== (request.limits !== undefined)) {
      throw new ReplatformError('usage', { message: 'Limits are given to throttle, and to nothing else.' })
    }
    if (request.dryRun) return this.#dryRun(await find(), request)
    await this.#audit(verb, subject, request, 'asked', request.reason ?? '')
    try {
      const asked = await find()
      if (request.limits && asked.move) {
        await this.#services.moves.limit(asked.move, { ...noLimits, ...request.limits })
      }
      const operation = await this.#add(asked, request, 'running')
      this.#untold.add(operation.id)
      await this.#send(asked.host, operation.id)
      return toOperation(operation, operation.plan)
    } catch (thrown) {
      const { code, message } = toReplatformError(thrown)
      await this.#audit(verb, subject, request, 'refused', `${code}: ${message}`)
      throw thrown
    }
  }

  /** It is recorded, and so not refused any more: what cannot be sent now is sent by whoever looks what is left. */
  async #send({ name: wave, moves }: Wave, operation: string): Promise<void> {
    try {
      await this.#jobs.sendOperation(wave, operation)
      // Nobody hosts a wave that had ended.
      await this.#jobs.offer({ wave, moves })
    } catch (thrown) {
      this.#services.log.warn({ operation, err: thrown }, 'An operation was not sent at once; it will be.')
    }
  }

  /** For a cutover with what its gates would say, and how long its pause is expected to be. */
  async #dryRun(asked: Asked, request: OperationRequest): Promise<Operation> {
    const operation = await this.#add({ ...asked, claims: [] }, request, 'done')
    const shown = toOperation(operation, operation.plan)
    if (asked.verb !== 'cutover' || !asked.host.declared) return shown
    const preview = await previewWave(this.#services, asked.host, this.#lagMsOf)
    return { ...shown, result: { kind: 'preview', ...preview } }
  }

  async #allowedOfMove(verb: OperationVerb, move: string): Promise<Asked> {
    const { estate, moves } = this.#services
    if (!Object.hasOwn(estate.stores, move)) {
      const known = Object.keys(estate.stores).join(', ')
      throw new ReplatformError('estate.unknown-move', { message: `There is no move "${move}"; there are: ${known}.` })
    }
    const host = waveOf(estate, move)
    requireAlone(verb, move, host, await this.#members(host))
    requireAllowed(verb, await moves.get(move))
    return { verb, move, wave: null, host, claims: isExclusive(verb) ? [move] : [] }
  }

  async #allowedOfWave(verb: WaveVerb, name: string): Promise<Asked> {
    const host = declaredWave(wavesOf(this.#services.estate), name)
    requireWaveAllowed(verb, host, await this.#members(host))
    return { verb, move: null, wave: name, host, claims: host.moves }
  }

  async #members(wave: Wave): Promise<WaveMember[]> {
    const { moves, estate, connectors } = this.#services
    return Promise.all(
      wave.moves.map(async (name) => {
        const { pause } = connectors.describeRoute(estate.stores[name] as never).declares
        return { record: await moves.get(name), pause }
      }),
    )
  }

  #add(
    { verb, move, wave, claims }: Asked,
    request: OperationRequest,
    state: 'running' | 'done',
  ): Promise<OperationRecord> {
    const { operations, clock } = this.#services
    const { actor, reason = null, override = false } = request
    const plan = planSteps(verb)
    const startedAt = isoNow(clock)
    return operations.add({
      id: this.#services.newId(),
      verb,
      move,
      wave,
      state,
      claims,
      actor,
      reason,
      override,
      plan,
      startedAt,
    })
  }

  async #audit(
    verb: OperationVerb,
    subject: OperationSubject,
    { actor }: OperationRequest,
    outcome: AuditEntry['outcome'],
    detail: string,
  ): Promise<void> {
    const { audit, clock } = this.#services
    await audit.append({ at: isoNow(clock), actor, verb, move: subjectOf(subject), outcome, detail })
  }
}

function toOperation(record: OperationRecord, steps: Operation['steps']): Operation {
  const { id, verb, move, wave, state, startedAt, finishedAt, result, error } = record
  return { id, verb, move, wave, state, startedAt, finishedAt, steps, result, error }
}
