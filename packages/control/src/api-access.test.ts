/**
 * Goal: beyond the local socket nobody gets in without TLS and a token, and nobody does more than the roles allow. Method: the
 * real API over TLS with a certificate of our own, asked by real requests; what it would have done is recorded.
 */
import { createHash } from 'node:crypto'
import { request } from 'node:https'
import { text } from 'node:stream/consumers'
import { rigAuthority } from '@replatform/testkit/certificate-authority'
import type { FastifyInstance } from 'fastify'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { serveRemoteApi } from './api.ts'
import { AccessTokens } from './api-access.ts'
import type { ApiBackend } from './api-backend.ts'
import { originNow } from './request-origin.ts'

const silent = { info: () => {}, warn: () => {}, error: () => {} }
const token = (name: string) => `${name}-`.padEnd(32, 'x')
const secrets: Record<string, string> = {
  'env:VIEWER': token('viewer'),
  'env:OPERATOR': token('operator'),
  'env:APPROVER': `sha256:${createHash('sha256').update(token('approver')).digest('hex')}`,
  'env:SHORT': 'guessable',
}
const resolve = (reference: string) => secrets[reference] ?? ''

let server: FastifyInstance
let ca: string
let port: number
let done: unknown[] = []

beforeAll(async () => {
  const backend = {
    status: async () => ({ estate: 'test' }),
    ask: async (...args: unknown[]) => ({ done: done.push([...args, originNow()]) }),
    askWave: async (...args: unknown[]) => ({ done: done.push(args) }),
    approve: async (...args: unknown[]) => ({ done: done.push(args) }),
    stop: () => void done.push('stopped'),
  } as unknown as ApiBackend
  const tokens = new AccessTokens(
    [
      { name: 'vera', roles: ['viewer'], token: 'env:VIEWER' },
      { name: 'otto', roles: ['operator'], token: 'env:OPERATOR' },
      { name: 'anna', roles: ['approver'], token: 'env:APPROVER' },
    ],
    resolve,
  )
  const authority = await rigAuthority()
  ca = authority.certificate
  const made = await authority.issue({ names: ['localhost'] })
  server = await serveRemoteApi({ host: '127.0.0.1', port: 0, ...made, tokens }, backend, silent)
  const address = server.server.address()
  port = typeof address === 'object' && address ? address.port : 0
})
afterAll(() => server?.close())
beforeEach(() => {
  done = []
})

async function ask(method: string, path: string, who?: string, body?: object) {
  const headers = {
    ...(who === undefined ? {} : { authorization: `Bearer ${who}` }),
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
  }
  const answer = await new Promise<import('node:http').IncomingMessage>((answered, failed) => {
    const sent = request({ host: '127.0.0.1', servername: 'localhost', port, method, path, headers, ca }, answered)
    sent.once('error', failed)
    sent.end(body === undefined ? undefined : JSON.stringify(body))
  })
  return { status: answer.statusCode, body: JSON.parse(await text(answer)) }
}

const cutover = { actor: 'somebody@else', reason: 'r' }

test.each([
  ['nobody', 'GET', '/v1/status', undefined, 401],
  ['a wrong token', 'GET', '/v1/status', token('wrong'), 401],
  ['a viewer', 'GET', '/v1/status', token('viewer'), 200],
  ['an operator', 'GET', '/openapi.json', token('operator'), 200],
  ['a viewer', 'POST', '/v1/moves/a/cutover', token('viewer'), 403],
  ['an approver', 'POST', '/v1/moves/a/cutover', token('approver'), 403],
  ['an operator', 'POST', '/v1/waves/w/approvals', token('operator'), 403],
  ['an operator', 'POST', '/v1/worker/stop', token('operator'), 403],
  ['an operator', 'GET', '/v1/nothing', token('operator'), 403],
] as const)('%s: %s %s', async (_, method, path, who, status) => {
  const answer = await ask(method, path, who, method === 'POST' ? cutover : undefined)
  expect(answer.status).toBe(status)
  if (status > 400) expect(answer.body.error.code).toBe(status === 401 ? 'access.denied' : 'access.role')
  expect(done).toEqual([])
})

test('who asks is named by the token and the address, whatever the request says', async () => {
  expect(await ask('POST', '/v1/moves/a/cutover', token('operator'), cutover)).toMatchObject({ status: 202 })
  expect(done).toEqual([['cutover', 'a', { actor: 'otto@127.0.0.1', reason: 'r' }, '127.0.0.1']])
  expect(await ask('POST', '/v1/waves/w/approvals', token('approver'), cutover)).toMatchObject({ status: 201 })
  expect(done[1]).toEqual(['w', { actor: 'anna@127.0.0.1', reason: 'r' }])
})

test('an operator does not go past the gates of a wave', async () => {
  const override = { ...cutover, override: true }
  expect(await ask('POST', '/v1/waves/w/cutover', token('operator'), override)).toMatchObject({ status: 403 })
  expect(done).toEqual([])
})

test('without TLS nothing is answered', async () => {
  await expect(fetch(`http://127.0.0.1:${port}/v1/status`)).rejects.toThrow()
})

test.each([
  ['no token at all', []],
  ['a token that could be guessed', [{ name: 'x', roles: ['viewer' as const], token: 'env:SHORT' }]],
])('%s: nothing is served', (_, entries) => {
  expect(() => new AccessTokens(entries, resolve)).toThrow(expect.objectContaining({ code: 'access.unusable' }))
  expect(() => new AccessTokens(entries, resolve)).not.toThrow(/guessable/)
})
