import { chmod, rm } from 'node:fs/promises'
import type { Log } from '@replatform/core/connector'
import type { ErrorCode } from '@replatform/core/error-catalogue'
import { ReplatformError, type SerializedError, toReplatformError } from '@replatform/core/errors'
import Fastify, { type FastifyError, type FastifyInstance } from 'fastify'
import { type AccessTokens, guardAccess } from './api-access.ts'
import type { ApiBackend } from './api-backend.ts'
import { describeApi } from './api-description.ts'
import { addRoutes } from './api-routes.ts'
import { withOrigin } from './request-origin.ts'

const maxBodyBytes = 64 * 1024

/** Serves the control API on a socket that only its user can open. The directory keeps others out from the start. */
export async function serveApi(socketPath: string, backend: ApiBackend, log: Log): Promise<FastifyInstance> {
  const server = await createApi(backend, log)
  // Left behind by a worker that was killed: whoever gets here owns the state directory.
  await rm(socketPath, { force: true })
  await server.listen({ path: socketPath })
  await chmod(socketPath, 0o600)
  return server
}

export interface RemoteOptions {
  readonly host: string
  readonly port: number
  /** In PEM form. There is no way to serve without. */
  readonly certificate: string
  readonly key: string
  readonly tokens: AccessTokens
}

/** Serves the same API beyond this machine: over TLS only, and to those who have a token with a role. */
export async function serveRemoteApi(
  { host, port, certificate, key, tokens }: RemoteOptions,
  backend: ApiBackend,
  log: Log,
): Promise<FastifyInstance> {
  try {
    const server = await createApi(backend, log, { tokens, tls: { cert: certificate, key, minVersion: 'TLSv1.2' } })
    await server.listen({ host, port })
    return server
  } catch (cause) {
    const message = `The control API cannot listen at ${host}:${port}: ${(cause as Error).message}.`
    throw new ReplatformError('access.unusable', { message, cause })
  }
}

interface Remote {
  readonly tokens: AccessTokens
  readonly tls: { readonly cert: string; readonly key: string; readonly minVersion: 'TLSv1.2' }
}

export async function createApi(backend: ApiBackend, log: Log, remote?: Remote): Promise<FastifyInstance> {
  const options = { logger: false, requestIdHeader: 'x-request-id', bodyLimit: maxBodyBytes } as const
  const secured = remote ? Fastify({ ...options, https: remote.tls }) : Fastify(options)
  // The kind of socket below makes no difference to what is served.
  const server = secured as unknown as FastifyInstance
  server.addHook('onSend', async (request, reply) => void reply.header('x-request-id', request.id))
  if (remote) guardAccess(server, remote.tokens, log)
  else server.addHook('preHandler', (_request, _reply, done) => withOrigin('local socket', done))
  server.setErrorHandler<FastifyError>((thrown, request, reply) => {
    const error = thrown.validation || isClientError(thrown) ? badRequest(thrown) : toReplatformError(thrown)
    if (error.code === 'internal') log.error({ err: thrown, requestId: request.id }, 'A request failed.')
    return reply.code(statusOf(error.code)).send({ error: error.toJSON() } satisfies ErrorBody)
  })
  server.setNotFoundHandler((request, reply) => {
    const error = new ReplatformError('usage', { message: `The control API has no ${request.method} ${request.url}.` })
    return reply.code(404).send({ error: error.toJSON() } satisfies ErrorBody)
  })
  await describeApi(server)
  addRoutes(server, backend)
  return server
}

export interface ErrorBody {
  readonly error: SerializedError
}

const statuses: Partial<Record<ErrorCode, number>> = {
  'usage': 400,
  'access.denied': 401,
  'access.role': 403,
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
