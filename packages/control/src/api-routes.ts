import type { FastifyInstance } from 'fastify'
import type { TSchema } from 'typebox'
import type { Role } from './api-access.ts'
import type { AnswerName } from './api-answers.ts'
import type { ApiBackend } from './api-backend.ts'
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
import type { OperationRequest, OperationVerb, WaveVerb } from './api-types.ts'
import type { ApprovalRequest, IncidentRequest } from './wave-desk.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may use it beyond the local socket; nobody where a route does not say. */
    readonly role?: Role | 'nobody'
    readonly answer?: Answer
  }
}

/** What comes back where nothing is wrong. */
interface Answer {
  readonly status: 200 | 201 | 202
  readonly name: AnswerName
}

interface Shape {
  readonly params?: TSchema
  readonly body?: TSchema
  readonly querystring?: TSchema
}

function looks(summary: string, name: AnswerName, shape: Shape = {}) {
  return asks('viewer', summary, { status: 200, name }, shape)
}

function asks(role: Role | 'nobody', summary: string, answer: Answer, shape: Shape = {}) {
  return { schema: { summary, ...shape }, config: { role, answer } }
}

/** Every route says what it does and which role may use it. */
export function addRoutes(server: FastifyInstance, backend: ApiBackend): void {
  server.get('/v1/status', looks('The estate, its worker and every move', 'EstateStatus'), () => backend.status())

  server.post<{ Params: { name: string; verb: OperationVerb }; Body: OperationRequest }>(
    '/v1/moves/:name/:verb',
    asks(
      'operator',
      'Asks a move for something; answers at once, look at the operation',
      { status: 202, name: 'Operation' },
      { params: VerbParams, body: RequestBody },
    ),
    async ({ params, body }, reply) => reply.code(202).send(await backend.ask(params.verb, params.name, body)),
  )

  addWaveRoutes(server, backend)

  server.get<{ Params: { name: string }; Querystring: { limit: number } }>(
    '/v1/moves/:name/journal',
    looks('The newest steps of a move, oldest first', 'Journal', { params: MoveParams, querystring: ListQuery }),
    ({ params, query }) => backend.journal(params.name, query.limit),
  )

  server.get<{ Params: { id: string } }>(
    '/v1/operations/:id',
    looks('How far an operation has come', 'Operation', { params: OperationParams }),
    ({ params }) => backend.look(params.id),
  )

  server.get<{ Querystring: { limit: number } }>(
    '/v1/audit',
    looks('The newest entries of the audit log, oldest first', 'AuditEntries', { querystring: ListQuery }),
    ({ query }) => backend.audit(query.limit),
  )

  server.get('/v1/audit/verification', looks('Whether the chain of the audit log is whole', 'AuditVerification'), () =>
    backend.verifyAudit(),
  )

  server.post(
    '/v1/worker/stop',
    asks('nobody', 'Stops the worker; only from the local socket', { status: 202, name: 'Nothing' }),
    async (_request, reply) => {
      reply.raw.once('finish', () => backend.stop())
      return reply.code(202).send({})
    },
  )

  server.get('/metrics', looks('Metrics for Prometheus', 'Metrics'), async (_request, reply) => {
    const { contentType, text } = await backend.metrics()
    return reply.type(contentType).send(text)
  })
}

function addWaveRoutes(server: FastifyInstance, backend: ApiBackend): void {
  server.post<{ Params: { name: string; verb: WaveVerb }; Body: OperationRequest }>(
    '/v1/waves/:name/:verb',
    asks(
      'operator',
      'Asks a whole wave for something; an override needs an approver',
      { status: 202, name: 'Operation' },
      { params: WaveVerbParams, body: RequestBody },
    ),
    async ({ params, body }, reply) => reply.code(202).send(await backend.askWave(params.verb, params.name, body)),
  )

  server.post<{ Params: { name: string }; Body: ApprovalRequest }>(
    '/v1/waves/:name/approvals',
    asks(
      'approver',
      'Approves a wave as it is defined now',
      { status: 201, name: 'Approval' },
      { params: WaveParams, body: ApprovalBody },
    ),
    async ({ params, body }, reply) => reply.code(201).send(await backend.approve(params.name, body)),
  )

  server.get<{ Params: { name: string } }>(
    '/v1/waves/:name/history',
    looks('What was done with a wave', 'PastOperations', { params: WaveParams }),
    ({ params }) => backend.history(params.name),
  )

  server.get('/v1/incidents', looks('The incidents that are open', 'Incidents'), () => backend.listIncidents())

  server.post<{ Body: IncidentRequest }>(
    '/v1/incidents',
    asks('operator', 'Opens an incident', { status: 201, name: 'Incident' }, { body: IncidentBody }),
    async ({ body }, reply) => reply.code(201).send(await backend.openIncident(body)),
  )

  server.post<{ Params: { id: number }; Body: ApprovalRequest }>(
    '/v1/incidents/:id/close',
    asks(
      'operator',
      'Closes an incident',
      { status: 200, name: 'Incident' },
      { params: IncidentParams, body: ApprovalBody },
    ),
    ({ params, body }) => backend.closeIncident(params.id, body),
  )
}
