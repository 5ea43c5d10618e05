import { chmod, rm } from 'node:fs/promises'
import type { Log } from '@replatform/core/connector'
import type { ErrorCode } from '@replatform/core/error-catalogue'
import { ReplatformError, type SerializedError, toReplatformError } from '@replatform/core/errors'
import Fastify, { type FastifyError, type FastifyInstance } from 'fastify'
import {
  ApprovalBody,
  IncidentBody,
  IncidentParams,
  ListQuery,
  MoveParams,
  OperationParams,
  RequestBody,
  VerbParams,
  WaveParams,
  WaveVerbParams,
} from './api-schemas.ts'
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
import { withOrigin } from './request-origin.ts'
import type { ApprovalRequest, IncidentRequest } from './wave-desk.ts'

/** What the API serves; each function throws a `ReplatformError` where it refuses. */
export interface ApiBackend {
  status(): Promise<EstateStatus>
  ask(verb: OperationVerb, move: string, request: OperationRequest): Promise<Operation>
  askWave(verb: WaveVerb, wave: string, request: OperationRequest): Promise<Operation>
  look(operation: string): Promise<Operation>
  history(wave: string): Promise<PastOperation[]>
  approve(wave: string, request: ApprovalRequest): Promise<Approval>
  openIncident(request: IncidentRequest): Promise<Incident>
  closeIncident(id: number, request: ApprovalRequest): Promise<Incident>
  /** Those that are open. */
  listIncidents(): Promise<Incident[]>
  audit(limit: number): Promise<AuditEntry[]>
  verifyAudit(): Promise<AuditVerification>
  journal(move: string, limit: number): Promise<JournalEntry[]>
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>
  /** Begins to stop and returns at once. */
  stop(): void
}

const maxBodyBytes = 64 * 1024

/** Serves the control API on a socket that only its user can open. The directory keeps others out from the start. */
export async function serveApi(socketPath: string, backend: ApiBackend, log: Log): Promise<FastifyInstance> {
  const server = createApi(backend, log)
  // Left behind by a worker that was killed: whoever gets here owns the state directory.
  await rm(socketPath, { force: true })
  await server.listen({ path: socketPath })
  await chmod(socketPath, 0o600)
  return server
}

function createApi(backend: ApiBackend, log: Log): FastifyInstance {
  const server = Fastify({ logger: false, requestIdHeader: 'x-request-id', bodyLimit: maxBodyBytes })
  server.addHook('onSend', async (request, reply) => void reply.header('x-request-id', request.id))
  server.addHook('preHandler', (_request, _reply, done) => withOrigin('local socket', done))
  server.setErrorHandler<FastifyError>((thrown, request, reply) => {
    const error = thrown.validation || isClientError(thrown) ? badRequest(thrown) : toReplatformError(thrown)
    if (error.code === 'internal') log.error({ err: thrown, requestId: request.id }, 'A request failed.')
    return reply.code(statusOf(error.code)).send({ error: error.toJSON() } satisfies ErrorBody)
  })
  server.setNotFoundHandler((request, reply) => {
    const error = new ReplatformError('usage', { message: `The control API has no ${request.method} ${request.url}.` })
    return reply.code(404).send({ error: error.toJSON() } satisfies ErrorBody)
  })
  addRoutes(server, backend)
  return server
}

function addRoutes(server: FastifyInstance, backend: ApiBackend): void {
  server.get('/v1/status', () => backend.status())

  server.post<{ Params: { name: string; verb: OperationVerb }; Body: OperationRequest }>(
    '/v1/moves/:name/:verb',
    { schema: { params: VerbParams, body: RequestBody } },
    async ({ params, body }, reply) => reply.code(202).send(await backend.ask(params.verb, params.name, body)),
  )

  addWaveRoutes(server, backend)

  server.get<{ Params: { name: string }; Querystring: { limit: number } }>(
    '/v1/moves/:name/journal',
    { schema: { params: MoveParams, querystring: ListQuery } },
    ({ params, query }) => backend.journal(params.name, query.limit),
  )

  server.get<{ Params: { id: string } }>('/v1/operations/:id', { schema: { params: OperationParams } }, ({ params }) =>
    backend.look(params.id),
  )

  server.get<{ Querystring: { limit: number } }>('/v1/audit', { schema: { querystring: ListQuery } }, ({ query }) =>
    backend.audit(query.limit),
  )

  server.get('/v1/audit/verification', () => backend.verifyAudit())

  server.post('/v1/worker/stop', async (_request, reply) => {
    reply.raw.once('finish', () => backend.stop())
    return reply.code(202).send({})
  })

  server.get('/metrics', async (_request, reply) => {
    const { contentType, text } = await backend.metrics()
    return reply.type(contentType).send(text)
  })
}

function addWaveRoutes(server: FastifyInstance, backend: ApiBackend): void {
  server.post<{ Params: { name: string; verb: WaveVerb }; Body: OperationRequest }>(
    '/v1/waves/:name/:verb',
    { schema: { params: WaveVerbParams, body: RequestBody } },
    async ({ params, body }, reply) => reply.code(202).send(await backend.askWave(params.verb, params.name, body)),
  )

  server.post<{ Params: { name: string }; Body: ApprovalRequest }>(
    '/v1/waves/:name/approvals',
    { schema: { params: WaveParams, body: ApprovalBody } },
    async ({ params, body }, reply) => reply.code(201).send(await backend.approve(params.name, body)),
  )

  server.get<{ Params: { name: string } }>(
    '/v1/waves/:name/history',
    { schema: { params: WaveParams } },
    ({ params }) => backend.history(params.name),
  )

  server.get('/v1/incidents', () => backend.listIncidents())

  server.post<{ Body: IncidentRequest }>('/v1/incidents', { schema: { body: IncidentBody } }, async ({ body }, reply) =>
    reply.code(201).send(await backend.openIncident(body)),
  )

  server.post<{ Params: { id: number }; Body: ApprovalRequest }>(
    '/v1/incidents/:id/close',
    { schema: { params: IncidentParams, body: ApprovalBody } },
    ({ params, body }) => backend.closeIncident(params.id, body),
  )
}

export interface ErrorBody {
  readonly error: SerializedError
}

const statuses: Partial<Record<ErrorCode, number>> = {
  'usage': 400,
  'estate.unknown-move': 404,
  'estate.unknown-wave': 404,
  'operation.unknown': 404,
  'operation.running': 409,
  'operation.interrupted': 409,
  'assessment.blocked': 409,
  'cutover.not-ready': 409,
  'cutover.whole-wave': 409,
  'gate.closed': 409,
  'gate.not-approver': 403,
  'incident.unknown': 404,
  'state.transition-refused': 409,
  'control.unreachable': 503,
}

function statusOf(code: ErrorCode): number {
  return statuses[code] ?? 500
}

function isClientError({ statusCode }: FastifyError): boolean {
  return statusCode !== undefined && statusCode >= 400 && statusCode < 500
}

function badRequest(thrown: FastifyError): ReplatformError {
  return new ReplatformError('usage', { message: `The request was not understood: ${thrown.message}.` })
}
