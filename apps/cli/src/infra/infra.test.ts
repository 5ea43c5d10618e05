import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { runCli } from '../cli.ts'
import { capturedIo } from '../test-fixtures/captured-io.ts'

const folder = mkdtempSync(join(tmpdir(), 'infra-'))
const example = resolve(import.meta.dirname, '../../../../examples/landing-zone/estate.yaml')
afterAll(() => rmSync(folder, { recursive: true }))
/** A synthesis takes seconds of processor time, and a shared machine may not give them at once. */
const patienceMs = 300_000

async function infra(...args: string[]) {
  const io = capturedIo(folder)
  const code = await runCli(['--estate', example, '--json', 'infra', ...args], io)
  const text = io.out.text
  return { code, document: text === '' ? null : JSON.parse(text) }
}

test(
  'synth writes templates once, and again over its own',
  async () => {
    const first = await infra('synth', '--environment', 'staging', '--out', 'templates')
    expect(first.code).toBe(0)
    expect(first.document.stacks).toHaveLength(6)
    expect(readdirSync(join(folder, 'templates'))).toContain('network.template.json')
    const again = await infra('diff', '--environment', 'staging', '--against', 'templates')
    expect(again).toMatchObject({ code: 0, document: { changes: [] } })
  },
  patienceMs,
)

test('synth leaves a folder alone that holds something else', async () => {
  writeFileSync(join(folder, 'notes.txt'), 'mine')
  const { code, document } = await infra('synth', '--environment', 'staging', '--out', '.')
  expect({ code, error: document.error.code }).toEqual({ code: 3, error: 'landing-zone.output-refused' })
  expect(readFileSync(join(folder, 'notes.txt'), 'utf8')).toBe('mine')
})

test(
  'check holds the example; a flow that is closed by a wrong name refuses it before anything is written',
  async () => {
    expect(await infra('check', '--environment', 'production')).toMatchObject({ code: 0, document: { ok: true } })
    const { code, document } = await infra('synth', '--environment', 'nowhere', '--out', 'nothing')
    expect({ code, error: document.error.code }).toEqual({ code: 3, error: 'landing-zone.blocked' })
    expect(existsSync(join(folder, 'nothing'))).toBe(false)
  },
  patienceMs,
)

test('site writes for each router what its two daemons read, and never over an edited file', async () => {
  const { code, document } = await infra('site', '--out', 'site')
  expect(code).toBe(0)
  expect(document.files).toEqual([
    'router1/swanctl.conf',
    'router1/frr.conf',
    'router2/swanctl.conf',
    'router2/frr.conf',
  ])
  expect(readFileSync(join(folder, 'site/router2/frr.conf'), 'utf8')).toContain('router bgp 65010')
  const again = await infra('site', '--out', 'site')
  expect({ code: again.code, error: again.document.error.code }).toEqual({
    code: 3,
    error: 'landing-zone.output-refused',
  })
})

test('eject writes a project once, whole, and never beside something else', async () => {
  const { code, document } = await infra('eject', '--out', 'mine/project')
  expect(code).toBe(0)
  expect(document.files).toContain('lib/description.ts')
  const written = readdirSync(join(folder, 'mine/project'), { recursive: true, withFileTypes: true })
  expect(written.filter((entry) => entry.isFile())).toHaveLength(document.files.length)
  writeFileSync(join(folder, 'mine/project/README.md'), 'edited')
  const again = await infra('eject', '--out', 'mine/project')
  expect({ code: again.code, error: again.document.error.code }).toEqual({
    code: 3,
    error: 'landing-zone.output-refused',
  })
  expect(readFileSync(join(folder, 'mine/project/README.md'), 'utf8')).toBe('edited')
  const blocked = await infra('eject', '--environment', 'nowhere', '--out', 'mine/nothing')
  expect({ code: blocked.code, error: blocked.document.error.code }).toEqual({ code: 3, error: 'landing-zone.blocked' })
  const refused = await infra('eject', '--out', 'notes.txt/project')
  expect({ code: refused.code, error: refused.document.error.code }).toEqual({
    code: 3,
    error: 'landing-zone.output-refused',
  })
  expect(readdirSync(join(folder, 'mine'))).toEqual(['project'])
})

test('translate writes the services of the estate anew, and nothing at all where a file has an error', async () => {
  const old = (name: string, text: string) => writeFileSync(join(folder, name), text)
  old(
    'haproxy.cfg',
    'frontend front\n bind :443\n mode http\n default_backend gateway\nbackend gateway\n server a 10.0.0.9:8443\n',
  )
  old('partners.txt', 'api.courier.example\n')
  old('squid.conf', 'acl partners dstdomain "partners.txt"\nhttp_access allow partners\nhttp_access deny all\n')
  const { code, document } = await infra(
    'translate',
    '--haproxy',
    'haproxy.cfg',
    '--squid',
    'squid.conf',
    '--out',
    'new.yaml',
  )
  expect(code).toBe(0)
  const written = parse(readFileSync(join(folder, 'new.yaml'), 'utf8'))
  expect(written.services).toEqual(document.services)
  expect(written.services.gateway.egress).toMatchObject([{ host: 'api.courier.example', port: 443 }])
  expect(document.findings.map(({ id }: { id: string }) => id)).toContain('translate.proxy-callers')

  const again = await infra('translate', '--haproxy', 'haproxy.cfg', '--out', 'new.yaml')
  expect({ code: again.code, error: again.document.error.code }).toEqual({
    code: 3,
    error: 'landing-zone.output-refused',
  })
  old('broken.cfg', 'frontend front\n bind\n')
  const broken = await infra('translate', '--squid', 'squid.conf', '--haproxy', 'broken.cfg', '--out', 'other.yaml')
  expect({ code: broken.code, error: broken.document.error.code }).toEqual({
    code: 3,
    error: 'landing-zone.config-invalid',
  })
  expect(broken.document.error.message).toContain('broken.cfg:2: bind needs an address')
  expect(readdirSync(folder).filter((name) => name.startsWith('other.yaml'))).toEqual([])
})

test.each([
  [['translate'], 'Name at least one file to translate'],
  [['synt', '--environment', 'staging'], 'Did you mean "synth"?'],
  [['synth', '--environment', 'staging', '--phase', 'two'], 'There is no phase "two"'],
  [[], 'Name an action: synth,'],
])('%j is refused in words', async (args, words) => {
  const { code, document } = await infra(...args)
  expect(code).toBe(2)
  expect(document.error.message).toContain(words)
})
