import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { createServiceApp, keyHeader } from '../service-app.ts'
import type { PaperContent, ProfileContent } from './profile-documents.ts'
import type { Change, ChangeOutcome, ProfileStore } from './profile-store.ts'

const account = { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER }
const version = { type: 'integer', minimum: 1, maximum: 2 ** 31 - 1 }
const text = { type: 'string', minLength: 1, maxLength: 200 }
const path = { type: 'object', properties: { account: { type: 'string', pattern: '^[1-9][0-9]{0,15}$' } } }

interface ByAccount {
  readonly account: string
}
interface Versioned {
  readonly version: number
}

export function createProfilesServer(store: ProfileStore): FastifyInstance {
  const app = createServiceApp({ name: 'profiles', ready: () => store.ping() })
  addProfiles(app, store)
  const notification = { headers: keyHeader, body: exactly({ account, text }) }
  app.post<{ Body: { account: number; text: string } }>(
    '/v1/notifications',
    { schema: notification },
    async (request, reply) => {
      const expiresAt = await store.notify(keyOf(request), request.body.account, request.body.text)
      return await reply.code(201).send({ deadline: expiresAt.getTime() })
    },
  )
  return app
}

/** Each change names the version that it makes; 409 when that has been made otherwise. */
function addProfiles(app: FastifyInstance, store: ProfileStore): void {
  const schema = (body: object) => ({ schema: { headers: keyHeader, params: path, body } })
  app.put<{ Params: ByAccount; Body: ProfileContent & Versioned }>(
    '/v1/profiles/:account',
    schema(exactly({ version, name: text, phone: text, city: text })),
    async (request, reply) => await send(reply, await store.describe(changeOf(request), request.body)),
  )
  app.post<{ Params: ByAccount; Body: PaperContent & Versioned }>(
    '/v1/profiles/:account/papers',
    schema(exactly({ version, kind: text, number: text })),
    async (request, reply) => await send(reply, await store.addPaper(changeOf(request), request.body)),
  )
  app.post<{ Params: ByAccount; Body: Versioned }>(
    '/v1/profiles/:account/departure',
    schema(exactly({ version })),
    async (request, reply) => await send(reply, await store.leave(changeOf(request))),
  )
  app.get<{ Params: ByAccount }>('/v1/profiles/:account', { schema: { params: path } }, async (request, reply) => {
    const profile = await store.find(Number(request.params.account))
    if (!profile) return await reply.code(404).send({ error: 'unknown-account' })
    const { name, contact, papers } = profile
    return { version: profile.version, name, ...contact, papers: papers.map(({ kind, number }) => ({ kind, number })) }
  })
}

async function send(reply: FastifyReply, outcome: ChangeOutcome): Promise<FastifyReply> {
  return await reply
    .code(outcome === 'conflict' ? 409 : 200)
    .send({ outcome: outcome === 'conflict' ? outcome : 'done' })
}

function changeOf(request: FastifyRequest<{ Params: ByAccount; Body: Versioned }>): Change {
  return { account: Number(request.params.account), version: request.body.version, key: keyOf(request) }
}

function exactly(properties: Readonly<Record<string, object>>): object {
  return { type: 'object', required: Object.keys(properties), properties, additionalProperties: false }
}

function keyOf(request: { readonly headers: FastifyRequest['headers'] }): string {
  const key = request.headers['idempotency-key']
  if (typeof key !== 'string') throw new TypeError('the schema lets no request pass without one key')
  return key
}
