import { expect, test } from 'vitest'
import { requestJson } from './json-request.ts'
import { startOpensearch } from './opensearch-server.ts'

/** Goal: a target that behaves like the managed service. Method: one server, asked for what each rule is about. */
test('keeps what it confirmed, lets nobody in without the password, and refuses what OpenSearch Service refuses', async () => {
  await using server = await startOpensearch({ flavour: 'opensearch-service' })
  const document = { merchant: 'Phở 24', amount: 45000 }
  expect(await server.request('PUT', 'payments/_doc/1', document)).toMatchObject({ status: 201 })
  await server.kill()
  await expect(server.request('GET', 'payments/_doc/1')).rejects.toThrow()
  await server.restart()
  expect((await server.request('GET', 'payments/_doc/1')).body).toMatchObject({ _source: document })

  const { authority: ca } = server
  const stranger = await requestJson(server.url({ user: 'rig', password: 'wrong' }), { ca })
  expect(stranger.status).toBe(401)
  await expect(requestJson(server.url())).rejects.toThrow('certificate')

  const ask = async (method: string, path: string, body?: unknown): Promise<number> =>
    (await server.request(method, path, body)).status
  expect(await ask('PUT', '_cluster/settings', { persistent: { 'action.auto_create_index': 'true' } })).toBe(200)
  expect(await ask('PUT', '_cluster/settings', { persistent: { action: { auto_create_index: 'true' } } })).toBe(401)
  expect(await ask('PUT', '//_cluster/settings', { persistent: { 'cluster.blocks.read_only': true } })).toBe(401)
  expect(await ask('PUT', '_snapshot/backup', { type: 'fs', settings: { location: '/tmp' } })).toBe(401)
  expect(await ask('POST', '_cluster/reroute')).toBe(401)
  expect(await ask('GET', '_cluster/health')).toBe(200)
  expect(await ask('POST', '_bulk', `${'x'.repeat(10 * 1024 * 1024)}\n`)).toBe(413)
})

test('scripts, analyzers and pipelines are there', async () => {
  await using server = await startOpensearch({ password: false })
  await server.request('PUT', '_ingest/pipeline/upper', { processors: [{ uppercase: { field: 'code' } }] })
  await server.request('PUT', 'merchants/_doc/1?pipeline=upper&refresh=true', { code: 'qr', fee: 20 })
  const found = await server.request('POST', 'merchants/_search', {
    query: { match: { code: 'QR' } },
    script_fields: { doubled: { script: "doc['fee'].value * 2" } },
  })
  expect(found.body).toMatchObject({ hits: { hits: [{ fields: { doubled: [40] } }] } })
})
