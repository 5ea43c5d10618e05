import { hash } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { createServiceApp, keyHeader } from '../service-app.ts'
import type { Done, Refused, SessionStore } from './session-store.ts'
import type { NamedSession, SessionTokens } from './session-tokens.ts'

const accountNumber = { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER }
const name = { type: 'string', pattern: '^[!-~]{1,200}$' }

interface CodeRequest {
  readonly account: number
}
interface LoginRequest {
  readonly account: number
  readonly code: string
  readonly digits: string
  readonly device: string
}
interface AnswerRequest {
  readonly request: string
  readonly status: number
  readonly body: string
}
interface ByKey {
  readonly key: string
}

export function createSessionsServer(store: SessionStore, tokens: SessionTokens): FastifyInstance {
  const app = createServiceApp({ name: 'sessions', ready: () => store.ping() })
  addCodes(app, store, tokens)
  addSessions(app, store, tokens)
  addAnswers(app, store)
  return app
}

/** One-time codes. The answer holds the digits, which another company would send by text message. */
function addCodes(app: FastifyInstance, store: SessionStore, tokens: SessionTokens): void {
  const schema = { headers: keyHeader, body: exactly({ account: accountNumber }) }
  app.post<{ Body: CodeRequest }>('/v1/codes', { schema }, async (request, reply) => {
    const code = keyOf(request)
    const { account } = request.body
    const digits = tokens.digits(account, code)
    const issued = await store.issueCode(account, code, tokens.proof(account, code, digits))
    if (isRefused(issued)) return await reply.code(429).header('retry-after', '60').send({ error: issued.outcome })
    return await reply.code(201).send({ code, digits, deadline: issued.deadline })
  })
}

function addSessions(app: FastifyInstance, store: SessionStore, tokens: SessionTokens): void {
  const body = exactly({ account: accountNumber, code: name, digits: name, device: name })
  app.post<{ Body: LoginRequest }>('/v1/sessions', { schema: { headers: keyHeader, body } }, async (request, reply) => {
    const session = keyOf(request)
    const { account, code, digits, device } = request.body
    const proof = tokens.proof(account, code, digits)
    const login = await store.logIn({ account, session, code, proof, device })
    if (isRefused(login)) return await reply.code(422).send({ error: login.outcome })
    return await reply.code(201).send({ session, token: tokens.token({ account, session }), deadline: login.deadline })
  })

  app.get('/v1/sessions/current', async (request, reply) => {
    const named = bearer(request, tokens)
    const state = named && (await store.session(named.account, named.session))
    if (!named || !state) return await reply.code(401).send({ error: 'no-session' })
    return { ...named, ...state }
  })

  app.delete('/v1/sessions/current', async (request, reply) => {
    const named = bearer(request, tokens)
    if (!named) return await reply.code(401).send({ error: 'no-session' })
    await store.logOut(named.account, named.session)
    return await reply.code(204).send()
  })
}

/** Answers that a gateway has to repeat. Another request under the same key gets 409. */
function addAnswers(app: FastifyInstance, store: SessionStore): void {
  const params = { type: 'object', properties: { key: name } }
  const status = { type: 'integer', minimum: 100, maximum: 599 }
  const body = exactly({ request: name, status, body: { type: 'string', maxLength: 65_536 } })
  app.put<{ Params: ByKey; Body: AnswerRequest }>(
    '/v1/answers/:key',
    { schema: { params, body } },
    async (request, reply) => {
      const { answer, again } = await store.remember(request.params.key, answerText(request.body))
      const kept = JSON.parse(answer) as AnswerRequest
      if (kept.request !== request.body.request) {
        return await reply.code(409).send({ error: 'key-was-used-for-another-request' })
      }
      return await sendJson(reply, again ? 200 : 201, answer)
    },
  )
  app.get<{ Params: ByKey }>('/v1/answers/:key', { schema: { params } }, async (request, reply) => {
    const answer = await store.recall(request.params.key)
    if (answer === undefined) return await reply.code(404).send({ error: 'no-answer' })
    return await sendJson(reply, 200, answer)
  })
}

/** How an answer is kept: always the same text for the same answer, so that it can be held against a digest. */
export function answerText({ request, status, body }: AnswerRequest): string {
  return JSON.stringify({ request, status, body })
}

export function digest(text: string): string {
  return hash('sha256', text)
}

async function sendJson(reply: FastifyReply, status: number, text: string): Promise<FastifyReply> {
  return await reply.code(status).type('application/json; charset=utf-8').send(text)
}

function bearer(request: FastifyRequest, tokens: SessionTokens): NamedSession | undefined {
  const [scheme, token] = (request.headers.authorization ?? '').split(' ')
  return scheme === 'Bearer' && token !== undefined ? tokens.read(token) : undefined
}

function isRefused(result: Done | Refused): result is Refused {
  return result.outcome !== 'done' && result.outcome !== 'again'
}

function exactly(properties: Readonly<Record<string, object>>): object {
  return { type: 'object', required: Object.keys(properties), properties, additionalProperties: false }
}

function keyOf(request: FastifyRequest): string {
  const key = request.headers['idempotency-key']
  if (typeof key !== 'string') throw new TypeError('the schema lets no request pass without one key')
  return key
}
