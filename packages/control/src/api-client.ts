import { randomUUID } from 'node:crypto'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { deserializeError, ReplatformError } from '@replatform/core/errors'
import type { ErrorBody } from './api.ts'
import type {
  AuditEntry,
  AuditVerification,
  EstateStatus,
  Operation,
  OperationRequest,
  OperationVerb,
  PastOperation,
  WaveVerb,
} from './api-types.ts'
import type { Approval } from './approvals.ts'
import type { Incident } from './incidents.ts'
import type { JournalEntry } from './journal.ts'
import { controlSocketPath } from './state-directory.ts'
import type { ApprovalRequest, IncidentRequest } from './wave-desk.ts'

/** A status is assembled from memory and a local database: longer means that the worker hangs. */
const answerWithinMs = 30_000

/**
 * Talks to the worker that owns a state directory. Throws `control.unreachable` when none listens, and otherwise the
 * very error that the worker threw.
 */
export class ApiClient {
  readonly #socketPath: string

  constructor(stateDirectory: string) {
    this.#socketPath = controlSocketPath(stateDirectory)
  }

  status(): Promise<EstateStatus> {
    return this.#json('GET', '/v1/status')
  }

  ask(verb: OperationVerb, move: string, request: OperationRequest): Promise<Operation> {
    return this.#json('POST', `/v1/moves/${encodeURIComponent(move)}/${verb}`, request)
  }

  askWave(verb: WaveVerb, wave: string, request: OperationRequest): Promise<Operation> {
    return this.#json('POST', `/v1/waves/${encodeURIComponent(wave)}/${verb}`, request)
  }

  operation(id: string): Promise<Operation> {
    return this.#json('GET', `/v1/operations/${encodeURIComponent(id)}`)
  }

  approve(wave: string, request: ApprovalRequest): Promise<Approval> {
    return this.#json('POST', `/v1/waves/${encodeURIComponent(wave)}/approvals`, request)
  }

  /** Oldest first. */
  history(wave: string): Promise<PastOperation[]> {
    return this.#json('GET', `/v1/waves/${encodeURIComponent(wave)}/history`)
  }

  /** Those that are open, oldest first. */
  incidents(): Promise<Incident[]> {
    return this.#json('GET', '/v1/incidents')
  }

  openIncident(request: IncidentRequest): Promise<Incident> {
    return this.#json('POST', '/v1/incidents', request)
  }

  closeIncident(id: number, request: ApprovalRequest): Promise<Incident> {
    return this.#json('POST', `/v1/incidents/${id}/close`, request)
  }

  /** Oldest first. */
  audit(limit = 200): Promise<AuditEntry[]> {
    return this.#json('GET', `/v1/audit?limit=${limit}`)
  }

  verifyAudit(): Promise<AuditVerification> {
    return this.#json('GET', '/v1/audit/verification')
  }

  /** Oldest first. */
  journal(move: string, limit = 200): Promise<JournalEntry[]> {
    return this.#json('GET', `/v1/moves/${encodeURIComponent(move)}/journal?limit=${limit}`)
  }

  /** Asks the worker to stop; it answers no more while its moves come to a durable point. */
  async stopWorker(): Promise<void> {
    await this.#json('POST', '/v1/worker/stop', {})
  }

  metrics(): Promise<string> {
    return this.#send('GET', '/metrics')
  }

  async #json<T>(method: string, path: string, body?: object): Promise<T> {
    return JSON.parse(await this.#send(method, path, body)) as T
  }

  async #send(method: string, path: string, body?: object): Promise<string> {
    const requestId = randomUUID()
    const response = await this.#exchange(method, path, requestId, body)
    const answer = await text(response)
    if (response.statusCode !== undefined && response.statusCode < 400) return answer
    throw errorOf(answer, response.statusCode, requestId)
  }

  #exchange(method: string, path: string, requestId: string, body?: object): Promise<IncomingMessage> {
    const headers = {
      'x-request-id': requestId,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    }
    return new Promise((resolve, reject) => {
      const request = httpRequest({ socketPath: this.#socketPath, method, path, headers }, resolve)
      request.setTimeout(answerWithinMs, () => request.destroy(new Error(`no answer within ${answerWithinMs} ms`)))
      request.once('error', (cause) => reject(unreachable(this.#socketPath, cause)))
      request.end(body === undefined ? undefined : JSON.stringify(body))
    })
  }
}

function unreachable(socketPath: string, cause: Error): ReplatformError {
  const message = `No worker answers at ${socketPath}: ${cause.message}.`
  return new ReplatformError('control.unreachable', { message, cause })
}

function errorOf(answer: string, status: number | undefined, requestId: string): ReplatformError {
  try {
    return deserializeError((JSON.parse(answer) as ErrorBody).error)
  } catch {
    const message = `The worker answered with status ${status} (request ${requestId}).`
    return new ReplatformError('internal', { message })
  }
}
