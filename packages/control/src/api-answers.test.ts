/**
 * Goal: the OpenAPI document says what the API answers, and nothing else. Method: a live worker is asked for everything
 * that the document has, in the course of a wave's life; an answer with a field more or less is a failure.
 */
import { request } from 'node:http'
import { text } from 'node:stream/consumers'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import { expect, test } from 'vitest'
import type { AuditEntry, Operation } from './api-types.ts'
import { controlSocketPath } from './state-directory.ts'
import { until } from './test-fixtures/control-rig.ts'
import { relational, WaveRig } from './test-fixtures/wave-rig.ts'

const gated = {
  ...relational,
  approver: 'head',
  window: { from: '2020-01-01T00:00Z', to: '2099-01-01T00:00Z' },
  gates: { verifiedWithin: '1h', lagUnder: '1h', rehearsedWithin: '24h', noOpenIncident: 'severe' as const },
}

interface Responses {
  readonly [status: string]: {
    readonly content: Readonly<Record<string, { readonly schema: { readonly $ref: string } }>>
  }
}
interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly responses: Responses }>>>>
  readonly components: { readonly schemas: Readonly<Record<string, object>> }
}

/** Asks as any program would, and holds what comes to what the document says of that status. */
class HeldApi {
  readonly asked = new Set<string>()
  readonly #socketPath: string
  readonly #document: OpenApi
  readonly #validators: ReadonlyMap<string, ValidateFunction>

  static async open(socketPath: string): Promise<HeldApi> {
    const { body } = await exchange(socketPath, 'GET', '/openapi.json')
    return new HeldApi(socketPath, JSON.parse(body) as OpenApi)
  }

  private constructor(socketPath: string, document: OpenApi) {
    const ajv = new Ajv2020({ strict: true, allErrors: true })
    formats.default(ajv)
    const schemas = Object.entries(document.components.schemas)
    this.#socketPath = socketPath
    this.#document = document
    this.#validators = new Map(schemas.map(([name, schema]) => [name, ajv.compile(schema)]))
  }

  get operations(): string[] {
    return Object.entries(this.#document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    )
  }

  /** `path` as in the document, with what stands in the place of its names. */
  async ask<T>(operation: string, names: Readonly<Record<string, string>> = {}, sent?: object): Promise<T> {
    const [method = '', path = ''] = operation.split(' ')
    const url = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(names[name] ?? ''))
    const { status, type, body } = await exchange(this.#socketPath, method.toUpperCase(), url, sent)
    const responses = this.#document.paths[path]?.[method]?.responses ?? {}
    const response = responses[status] ?? responses[`${String(status)[0]}XX`]
    const content = response?.content[type]
    const validate = this.#validators.get(content?.schema.$ref.split('/').at(-1) ?? '')
    if (!validate) throw new Error(`${operation} answered ${status} ${type}, of which the document says nothing.`)
    const answer = type === 'text/plain' ? body : JSON.parse(body)
    if (!validate(answer)) throw new Error(`${operation} ${status}: ${JSON.stringify(validate.errors)}\n${body}`)
    this.asked.add(operation)
    return answer as T
  }

  /** Looks at it again and again, since its form changes while it runs. */
  async ended(operation: Operation): Promise<Operation> {
    return until(`${operation.verb} ends`, async () => {
      await this.ask('get /v1/status')
      const now = await this.ask<Operation>('get /v1/operations/{id}', { id: operation.id })
      return now.state === 'running' ? undefined : now
    })
  }
}

test('every answer of a live API has the form that the document gives it', async () => {
  await using rig = await WaveRig.inSync({ waves: [gated] })
  const api = await HeldApi.open(controlSocketPath(rig.control.stateDirectory))
  const who = { actor: 'head@ops', reason: 'the plan' }
  const move = (verb: string, more: object = {}) =>
    api.ask<Operation>('post /v1/moves/{name}/{verb}', { name: 'ledger', verb }, { ...who, ...more })
  const wave = (verb: string, more: object = {}) =>
    api.ask<Operation>('post /v1/waves/{name}/{verb}', { name: 'relational', verb }, { ...who, ...more })
  const refused = (answer: unknown) => expect(answer).toMatchObject({ error: { code: expect.any(String) } })

  refused(await api.ask('post /v1/moves/{name}/{verb}', { name: 'nowhere', verb: 'start' }, who))
  refused(await api.ask('post /v1/moves/{name}/{verb}', { name: 'ledger', verb: 'explode' }, who))
  refused(await api.ask('get /v1/operations/{id}', { id: 'nothing' }))
  refused(await api.ask('post /v1/incidents', {}, { ...who, severity: 'severe' }))
  await move('start', { dryRun: true })
  await api.ended(await move('assess'))
  await api.ended(await move('throttle', { limits: { bytesPerSecond: 1_000_000 } }))
  await api.ended(await move('compare'))
  await api.ended(await api.ask('post /v1/moves/{name}/{verb}', { name: 'merchants', verb: 'compare' }, who))
  expect(await api.ended(await wave('rehearse'))).toMatchObject({ result: { kind: 'rehearsal' } })
  expect(await wave('cutover', { dryRun: true })).toMatchObject({ result: { kind: 'preview' } })
  const { id } = await api.ask<{ id: number }>('post /v1/incidents', {}, { ...who, severity: 'severe', title: 'late' })
  expect(await api.ask('get /v1/incidents')).toHaveLength(1)
  expect(await api.ended(await wave('cutover'))).toMatchObject({ state: 'failed', error: { code: 'gate.closed' } })
  await api.ask('post /v1/incidents/{id}/close', { id: String(id) }, who)
  await api.ask('post /v1/waves/{name}/approvals', { name: 'relational' }, who)
  expect(await api.ended(await wave('cutover'))).toMatchObject({ result: { kind: 'cutover' } })
  await rig.reach('reversing')
  await api.ended(await move('pause'))
  expect(await api.ask('get /v1/status')).toMatchObject({ moves: [{ paused: { reason: expect.any(String) } }, {}] })
  await api.ask('get /v1/waves/{name}/history', { name: 'relational' })
  await api.ask('get /v1/moves/{name}/journal', { name: 'ledger' })
  expect((await api.ask<AuditEntry[]>('get /v1/audit')).length).toBeGreaterThan(5)
  expect(await api.ask('get /v1/audit/verification')).toMatchObject({ intact: true })
  await api.ask('get /metrics')
  await api.ask('get /openapi.json')
  await api.ask('post /v1/worker/stop', {}, {})
  expect([...api.asked].sort()).toEqual(api.operations.sort())
})

test('an answer with a field that the document does not have is found, and so is one that lacks a field', async () => {
  const { answers } = await import('./api-answers.ts')
  const ajv = new Ajv2020({ strict: true })
  formats.default(ajv)
  const validate = ajv.compile(answers.Incident)
  const incident = { id: 1, severity: 'minor', title: 't', openedBy: 'x', openedAt: '2026-01-01T00:00:00.000Z' }
  expect([validate(incident), validate({ ...incident, more: 1 }), validate({ ...incident, title: undefined })]).toEqual(
    [true, false, false],
  )
})

function exchange(socketPath: string, method: string, path: string, sent?: object) {
  const headers = sent === undefined ? {} : { 'content-type': 'application/json' }
  return new Promise<{ status: number; type: string; body: string }>((resolve, reject) => {
    const asked = request({ socketPath, method, path, headers }, (answer) => {
      const type = String(answer.headers['content-type']).split(';')[0] ?? ''
      text(answer).then((body) => resolve({ status: answer.statusCode ?? 0, type, body }), reject)
    })
    asked.once('error', reject)
    asked.end(sent === undefined ? undefined : JSON.stringify(sent))
  })
}
