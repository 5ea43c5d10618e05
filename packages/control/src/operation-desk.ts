import { randomUUID } from 'node:crypto'
import { ReplatformError, toReplatformError } from '@replatform/core/errors'
import type { AuditEntry, Operation, OperationRequest, OperationVerb } from './api-types.ts'
import type { Jobs } from './jobs.ts'
import { stepsTaken } from './journal.ts'
import type { OperationRecord } from './operation-records.ts'
import { isExclusive, requireAllowed } from './operation-rules.ts'
import { planSteps } from './operation-steps.ts'
import { isoNow, type Services } from './services.ts'

/** Takes what people ask of moves, whichever worker hosts them, and says how far it has come. */
export class OperationDesk {
  readonly #services: Services
  readonly #jobs: Jobs

  constructor(services: Services, jobs: Jobs) {
    this.#services = services
    this.#jobs = jobs
  }

  /** Answers as soon as the request is recorded. A refusal throws and stands in the audit log. */
  async ask(verb: OperationVerb, move: string, request: OperationRequest): Promise<Operation> {
    if (request.dryRun) return this.#dryRun(verb, move, request)
    await this.#audit(verb, move, request, 'asked', request.reason ?? '')
    try {
      const operation = await this.#record(verb, move, request)
      await this.#jobs.sendOperation(move, operation.id)
      return toOperation(operation, operation.plan)
    } catch (thrown) {
      const { code, message } = toReplatformError(thrown)
      await this.#audit(verb, move, request, 'refused', `${code}: ${message}`)
      throw thrown
    }
  }

  /** Throws `operation.unknown`. */
  async look(id: string): Promise<Operation> {
    const { operations, journal } = this.#services
    const operation = await operations.get(id)
    const steps = stepsTaken(operation.plan, await journal.ofOperation(id), operation.state === 'failed')
    return toOperation(operation, steps)
  }

  async #record(verb: OperationVerb, move: string, request: OperationRequest): Promise<OperationRecord> {
    requireAllowed(verb, await this.#find(move))
    return this.#add({ verb, move, request, state: 'running', exclusive: isExclusive(verb) })
  }

  async #dryRun(verb: OperationVerb, move: string, request: OperationRequest): Promise<Operation> {
    requireAllowed(verb, await this.#find(move))
    const operation = await this.#add({ verb, move, request, state: 'done', exclusive: false })
    return toOperation(operation, operation.plan)
  }

  async #find(move: string) {
    const { estate, moves } = this.#services
    if (move in estate.stores) return moves.get(move)
    const known = Object.keys(estate.stores).join(', ')
    throw new ReplatformError('estate.unknown-move', { message: `There is no move "${move}"; there are: ${known}.` })
  }

  #add(options: {
    verb: OperationVerb
    move: string
    request: OperationRequest
    state: 'running' | 'done'
    exclusive: boolean
  }): Promise<OperationRecord> {
    const { verb, move, request, state, exclusive } = options
    const { operations, clock } = this.#services
    const { actor, reason = null } = request
    const plan = planSteps(verb)
    return operations.add({
      id: randomUUID(),
      verb,
      move,
      state,
      exclusive,
      actor,
      reason,
      plan,
      startedAt: isoNow(clock),
    })
  }

  async #audit(
    verb: OperationVerb,
    move: string,
    { actor }: OperationRequest,
    outcome: AuditEntry['outcome'],
    detail: string,
  ): Promise<void> {
    const { audit, clock } = this.#services
    await audit.append({ at: isoNow(clock), actor, verb, move, outcome, detail })
  }
}

function toOperation(record: OperationRecord, steps: Operation['steps']): Operation {
  const { id, verb, move, state, startedAt, finishedAt, result, error } = record
  return { id, verb, move, state, startedAt, finishedAt, steps, result, error }
}
