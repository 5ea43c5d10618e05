/** Goal: each request reaches its service and no other, and what is not for the outside is not shown. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { debianProgram } from '@replatform/testkit/debian-package'
import { freePort } from '@replatform/testkit/free-port'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'

const services = ['wallet', 'sessions', 'merchants', 'profiles', 'search', 'receipts'] as const
const standIns: Server[] = []
let gateway: ChildProcess
let url: string

/** Stand-ins that say their name: what is under test is the configuration. */
beforeAll(async () => {
  const program = await debianProgram('haproxy', 'haproxy')
  const address = `127.0.0.1:${await freePort()}`
  const env: Record<string, string> = { PATH: '/usr/sbin:/usr/bin:/bin', GATEWAY_ADDRESS: address }
  for (const service of services) {
    const standIn = createServer((_, response) => response.end(service)).listen(0, '127.0.0.1')
    await once(standIn, 'listening')
    standIns.push(standIn)
    env[`${service.toUpperCase()}_ADDRESS`] = `127.0.0.1:${(standIn.address() as AddressInfo).port}`
  }
  const settings = join(import.meta.dirname, '../../gateway/haproxy.cfg')
  gateway = spawn(program, ['-db', '-f', settings], { env, stdio: 'ignore' })
  url = `http://${address}`
  await vi.waitUntil(() => fetch(url).then(Boolean, () => false), { timeout: 10_000 })
})
afterAll(async () => {
  const exited = once(gateway, 'exit')
  gateway.kill('SIGTERM')
  for (const standIn of standIns) standIn.close()
  await exited
})

test.each([
  ['POST', '/v1/top-ups', 'wallet'],
  ['POST', '/v1/transfers', 'wallet'],
  ['POST', '/v1/transfers/7/refund', 'wallet'],
  ['POST', '/v1/holds/7/capture', 'wallet'],
  ['GET', '/v1/accounts/1001', 'wallet'],
  ['POST', '/v1/codes', 'sessions'],
  ['DELETE', '/v1/sessions/current', 'sessions'],
  ['PUT', '/v1/answers/k-1', 'sessions'],
  ['POST', '/v1/merchants', 'merchants'],
  ['GET', '/v1/merchants?name=pho', 'search'],
  ['POST', '/v1/payments', 'merchants'],
  ['POST', '/v2/gateway/api/create', 'merchants'],
  ['PUT', '/v1/profiles/1001', 'profiles'],
  ['POST', '/v1/notifications', 'profiles'],
  ['GET', '/v1/transactions?account=1001', 'search'],
  ['GET', '/v1/receipts/7', 'receipts'],
])('%s %s is for %s', async (method, path, service) => {
  const response = await fetch(url + path, { method })
  expect(await response.text()).toBe(service)
})

test.each([
  ['/metrics', 403],
  ['/health/ready', 403],
  ['/v1/settlements', 403],
  ['/v1/unknown', 404],
  ['/', 404],
])('%s is answered with %i', async (path, status) => {
  expect((await fetch(url + path)).status).toBe(status)
})
