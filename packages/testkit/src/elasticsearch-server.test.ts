import { expect, test } from 'vitest'
import { startElasticsearch } from './elasticsearch-server.ts'
import { requestJson } from './json-request.ts'
import { processesIn } from './server-process.ts'

test('an Elasticsearch 7.10 with password keeps what it confirmed and leaves nothing behind', async () => {
  let folder = ''
  {
    await using server = await startElasticsearch()
    folder = server.folder
    expect((await server.request('GET', '')).body).toMatchObject({ version: { number: '7.10.2', build_flavor: 'oss' } })
    await server.request('PUT', 'payments/_doc/1', { amount: 45000 })
    await server.restart()
    expect((await server.request('GET', 'payments/_doc/1')).body).toMatchObject({ _source: { amount: 45000 } })
    expect((await requestJson(server.url({ password: 'wrong' }))).status).toBe(401)
    expect(await processesIn(folder)).not.toEqual([])
  }
  expect(await processesIn(folder)).toEqual([])
})

test('scripts, analyzers and pipelines are there, without a password where none is wanted', async () => {
  await using server = await startElasticsearch({ password: false })
  await server.request('PUT', '_ingest/pipeline/upper', { processors: [{ uppercase: { field: 'code' } }] })
  await server.request('PUT', 'merchants/_doc/1?pipeline=upper&refresh=true', { code: 'qr', fee: 20 })
  const { body } = await requestJson(`${server.url()}/merchants/_search`, {
    method: 'POST',
    body: { query: { match: { code: 'QR' } }, script_fields: { doubled: { script: "doc['fee'].value * 2" } } },
  })
  expect(body).toMatchObject({ hits: { hits: [{ fields: { doubled: [40] } }] } })
})
