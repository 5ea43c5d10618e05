import { type FastifyInstance, fastify } from 'fastify'
import type { Registry } from 'prom-client'
import { ServiceMetrics } from './service-metrics.ts'
import { StoreUnavailable } from './store-unavailable.ts'

export interface ServiceOptions {
  /** Begins the names of its metrics and, in capitals, of its environment. */
  readonly name: string
  /** Rejects while the service could not do its work. */
  readonly ready: () => Promise<unknown>
  /** Figures of its own, beside those that all services have. */
  readonly metrics?: Registry
}

/** Every value of this header names one request: it may be sent again, and is done once. */
export const keyHeader = {
  type: 'object',
  required: ['idempotency-key'],
  properties: { 'idempotency-key': { type: 'string', pattern: '^[!-~]{1,200}$' } },
}

/** What all services have in common: strict requests, honest errors, health and metrics. */
export function createServiceApp(options: ServiceOptions): FastifyInstance {
  const app = fastify({
    logger: { level: process.env[`${options.name.toUpperCase()}_LOG_LEVEL`] ?? 'warn', stream: process.stderr },
    // Whatever is not exactly as described is refused: a string is no amount, an unknown field no detail to ignore.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
  })
  addOperations(app, options)
  app.setErrorHandler<Error & { statusCode?: number }>(async (error, request, reply) => {
    if (error instanceof StoreUnavailable) {
      // Not a warning: while a store is away, every request would write one. The metrics count them.
      request.log.info({ outcome: error.outcome, cause: errorCode(error.cause) }, 'no answer from the store')
      return await reply.code(503).header('retry-after', '1').send({ outcome: error.outcome })
    }
    if (error.statusCode !== undefined && error.statusCode < 500) {
      return await reply.code(error.statusCode).send({ error: error.message })
    }
    request.log.error({ name: error.name }, 'unexpected error')
    return await reply.code(500).send({ outcome: 'unknown' })
  })
  return app
}

function addOperations(app: FastifyInstance, { name, ready, metrics: own }: ServiceOptions): void {
  const metrics = new ServiceMetrics(name, own)
  app.addHook('onResponse', async (request, reply) => {
    if (request.method !== 'GET') {
      metrics.observe(request.routeOptions.url ?? 'none', reply.statusCode, reply.elapsedTime / 1000)
    }
  })
  app.get('/health/live', async () => ({ live: true }))
  app.get('/health/ready', async () => {
    await ready()
    return { ready: true }
  })
  app.get('/metrics', async (_request, reply) => await reply.type(metrics.contentType).send(await metrics.text()))
}

/** The part of a driver's error that holds no values. */
function errorCode(cause: unknown): string {
  if (!(cause instanceof Error)) return 'none'
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.name
}
