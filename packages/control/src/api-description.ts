/** The OpenAPI document: from the very schemas that requests are checked by, and from those of `api-answers.ts`. */
import swagger from '@fastify/swagger'
import type { FastifyInstance } from 'fastify'
import { type AnswerName, answers } from './api-answers.ts'

interface Described {
  /** Roles, in the sense of OpenAPI 3.1; none where only the local socket may. */
  readonly security: readonly { readonly token: readonly string[] }[]
  readonly responses: Readonly<Record<string, object>>
}

/** Adds `/openapi.json`. Call before the routes are added. */
export async function describeApi(server: FastifyInstance): Promise<void> {
  const described = new Map<string, Described>()
  await server.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Replatform control API',
        version: '1',
        description:
          'On the local socket of a worker without a token; beyond it over TLS, with a token whose role stands at each operation. Every error, whatever its status, has the form of Error.',
      },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
    },
    transform: ({ schema, url, route }) => {
      const { role = 'nobody', answer = { status: 200, name: 'Nothing' } } = route.config ?? {}
      for (const method of [route.method].flat()) {
        described.set(`${method} ${url}`.toLowerCase(), {
          security: role === 'nobody' ? [] : [{ token: [role] }],
          responses: {
            [answer.status]: response('Done, or asked for.', answer.name),
            '4XX': response('Refused, and nothing was done.', 'Error'),
            '5XX': response('It could not be done, or not now.', 'Error'),
          },
        })
      }
      const description = role === 'nobody' ? 'Only from the local socket.' : `Role: ${role}.`
      return { schema: { ...schema, description }, url }
    },
    // The plugin would write every schema out at every use.
    transformObject: (made) => withAnswers(('openapiObject' in made ? made.openapiObject : {}) as Document, described),
  })
  const config = { role: 'viewer', answer: { status: 200, name: 'Document' } } as const
  server.get('/openapi.json', { schema: { summary: 'This document' }, config }, () => server.swagger())
}

interface Document {
  readonly paths?: Readonly<Record<string, Readonly<Record<string, object>>>>
  readonly components?: object
}

function withAnswers(document: Document, described: ReadonlyMap<string, Described>): object {
  const paths = Object.entries(document.paths ?? {}).map(([path, operations]) => {
    const all = Object.entries(operations).map(([method, operation]) => {
      const url = path.replaceAll('{', ':').replaceAll('}', '')
      return [method, { ...operation, ...described.get(`${method} ${url}`.toLowerCase()) }]
    })
    return [path, Object.fromEntries(all)]
  })
  return {
    ...document,
    components: { ...document.components, schemas: answers },
    paths: Object.fromEntries(paths),
  }
}

function response(description: string, name: AnswerName): object {
  const type = name === 'Metrics' ? 'text/plain' : 'application/json'
  return { description, content: { [type]: { schema: { $ref: `#/components/schemas/${name}` } } } }
}
