/**
 * Goal: a rehearsal feels what clients of this backend would feel, and neither HAProxy nor its clients notice. Method: a
 * real HAProxy before two sides that write down what reaches them, and a copy that is held, pointed and released.
 */
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { debianProgram } from '@replatform/testkit/debian-package'
import { expect, test } from 'vitest'
import { copyHaproxy, type HaproxyCopyOptions } from './copy.ts'
import { proxySettings } from './proxy-settings.ts'
import { startGateway } from './test-fixtures/gateway.ts'

async function startReal(mode: 'tcp' | 'http') {
  const program = await debianProgram('haproxy', 'haproxy')
  const gateway = await startGateway(mode)
  const { proxy, old, fresh } = gateway
  const options: HaproxyCopyOptions = { ...gateway.options, program }
  return {
    options,
    /** A command of the routing would show here; so would a connection. */
    state: async () => ({
      servers: (await proxy.command('show servers state')).replace(
        /^(\d+ wallet \d+ \w+ \S+ \d+ \d+ \d+ \d+) \d+/gm,
        '$1',
      ),
      reached: [...old.done, ...fresh.done],
    }),
    [Symbol.asyncDispose]: () => gateway[Symbol.asyncDispose](),
  }
}

/** As a rehearsal does it. */
async function goOver(options: HaproxyCopyOptions) {
  const copy = await copyHaproxy(options)
  await using _copy = copy
  const { routing, client } = copy
  if (!routing || !client) throw new Error(copy.detail)
  await client.begin()
  await routing.hold({ withinMs: 20_000 })
  const held = performance.now()
  await new Promise((resolve) => setTimeout(resolve, 300))
  await routing.point('new')
  const heldMs = performance.now() - held
  await routing.release()
  const felt = await client.end()
  return { felt, heldMs, where: await routing.where(), detail: copy.detail }
}

test.each(['tcp', 'http'] as const)(
  'the client of a copy waits through the pause, and the real one is as it was: %s',
  async (mode) => {
    await using real = await startReal(mode)
    const before = await real.state()
    const { felt, heldMs, where } = await goOver(real.options)
    expect([where, felt.errors]).toEqual(['new', 0])
    expect(felt.gapMs).toBeGreaterThanOrEqual(Math.floor(heldMs))
    expect(await real.state()).toEqual(before)
  },
)

test('a backend that does not try again gives errors instead of a wait, and the copy shows it', async () => {
  await using real = await startReal('http')
  const folder = await mkdtemp(join(tmpdir(), 'haproxy-settings-'))
  try {
    const config = join(folder, 'haproxy.cfg')
    await writeFile(config, 'defaults\n  timeout connect 50ms\n  retries 0\nbackend wallet\n  mode http\n')
    const { felt, detail } = await goOver({ ...real.options, config })
    expect(felt.errors).toBeGreaterThan(0)
    expect(detail).toContain(config)
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('what cannot be copied is said, and nothing is left', async () => {
  await using real = await startReal('tcp')
  const wrong = { ...real.options, servers: { old: ['before'], new: ['nowhere'] } }
  await expect(copyHaproxy(wrong)).rejects.toMatchObject({ code: 'routing.failed', message: /has no nowhere/ })
  await expect(copyHaproxy({ ...real.options, backend: 'purse' })).rejects.toMatchObject({ code: 'routing.failed' })
  const copy = await copyHaproxy(real.options)
  await copy[Symbol.asyncDispose]()
  await expect(copy.routing?.where()).rejects.toMatchObject({ code: 'routing.failed' })
  const [, socket = ''] = /runtime API at (\S+)/.exec((await copy.routing?.where().catch(String)) ?? '') ?? []
  await expect(access(dirname(socket))).rejects.toMatchObject({ code: 'ENOENT' })
})

test('settings come from the backend and the defaults that it takes over, and nothing else does', () => {
  const file = `
global
  log /dev/log local0
defaults base
  retries 7            # seldom
  timeout connect 1s
defaults
  timeout connect 2s
frontend in
  retries 9
defaults last from base
  timeout server 5s
backend wallet
  balance leastconn
  http-request set-header X-A b
  option redispatch 1
  server before 10.0.0.1:80 check
backend other from base
  option httpchk
`
  expect(proxySettings(file, 'wallet')).toEqual([
    'retries 7',
    'timeout connect 1s',
    'timeout server 5s',
    'balance leastconn',
    'option redispatch 1',
  ])
  expect(proxySettings(file, 'other')).toEqual(['retries 7', 'timeout connect 1s'])
  expect(proxySettings(file, 'in')).toBeUndefined()
})
