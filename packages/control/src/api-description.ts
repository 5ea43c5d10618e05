/** The OpenAPI document, from the very schemas that requests are checked by. */
import swagger from '@fastify/swagger'
import type { FastifyInstance } from 'fastify'

const errorSchema = {
  type: 'object',
  description: 'What happened, what was left untouched and what to do next; every code stands in docs/errors.md.',
  properties: {
    error: {
      type: 'object',
      properties: Object.fromEntries(
        ['code', 'retry', 'message', 'untouched', 'next'].map((name) => [name, { type: 'string' }]),
      ),
    },
  },
}

/** Adds `/openapi.json`. Call before the routes are added. */
export async function describeApi(server: FastifyInstance): Promise<void> {
  await server.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Replatform control API',
        version: '1',
        description:
          'On the local socket of a worker without a token; beyond it over TLS, with a token whose role stands at each operation.',
      },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }],
    },
    transform: ({ schema, url, route }) => {
      const role = route.config?.role ?? 'nobody'
      const description = role === 'nobody' ? 'Only from the local socket.' : `Role: ${role}.`
      const response = {
        '2xx': { type: 'object', description: 'Done, or asked for.' },
        '4xx': errorSchema,
        '5xx': errorSchema,
      }
      return { schema: { ...schema, description, response }, url }
    },
  })
  server.get('/openapi.json', { schema: { summary: 'This document' }, config: { role: 'viewer' } }, () =>
    server.swagger(),
  )
}
