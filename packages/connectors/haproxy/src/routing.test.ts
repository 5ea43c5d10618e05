/**
 * Goal: clients are held, sent to the other side and released; what was answered has been carried out once, what was
 * not answered at most once, and whatever fails leaves nobody waiting.
 * Method: a real HAProxy before two sides that write down what they carried out, under clients that never stop.
 */
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import type { Routing } from '@replatform/core/routing'
import type { HaproxyServer } from '@replatform/testkit/haproxy-server'
import { pollUntil } from '@replatform/testkit/poll-until'
import { expect, test } from 'vitest'
import { createHaproxyRouting, type HaproxyRoutingOptions } from './routing.ts'
import { startGateway } from './test-fixtures/gateway.ts'

async function startRouted(mode: 'tcp' | 'http') {
  const gateway = await startGateway(mode)
  const { old, fresh } = gateway
  const options: HaproxyRoutingOptions = { ...gateway.options, addresses: { old, new: fresh } }
  return {
    ...gateway,
    routing: (overrides: Partial<HaproxyRoutingOptions> = {}): Routing =>
      createHaproxyRouting({ ...options, ...overrides }),
  }
}

/** Sends one command after another, each once, and connects again whenever its connection ends. */
class Commander implements AsyncDisposable {
  readonly answered: { readonly command: string; readonly by: string }[] = []
  readonly unanswered: string[] = []
  #isOver = false
  readonly #ended: Promise<void>

  constructor(name: string, address: { host: string; port: number }) {
    this.#ended = this.#run(name, address)
  }

  async #run(name: string, address: { host: string; port: number }): Promise<void> {
    for (let n = 0; !this.#isOver; ) {
      const socket = connect(address).on('error', () => {})
      let command = `${name}-${n++}`
      this.unanswered.push(command)
      socket.write(`${command}\n`)
      for await (const part of socket.iterator({ destroyOnReturn: true })) {
        this.unanswered.pop()
        this.answered.push({ command, by: String(part).trim() })
        if (this.#isOver) return
        command = `${name}-${n++}`
        this.unanswered.push(command)
        socket.write(`${command}\n`)
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    await this.#ended
  }
}

test('commands in flight are answered once or not at all, and none is lost after its answer', async () => {
  await using gateway = await startRouted('tcp')
  const { old, fresh } = gateway
  await using routing = gateway.routing()
  const clients = Array.from({ length: 12 }, (_, n) => new Commander(`c${n}`, gateway.proxy.address('wallet')))
  await pollUntil('commands flow', () => clients.every(({ answered }) => answered.length > 20))

  await routing.hold({ withinMs: 20_000 })
  // The side may still carry out what it had received; then nothing comes any more.
  await pollUntil('the old side is quiet', async () => {
    const before = old.done.length
    await new Promise((resolve) => setTimeout(resolve, 100))
    return old.done.length === before
  })
  const atHold = old.done.length
  await pollUntil('everybody waits again', async () => (await currentOf(gateway.proxy, 'FRONTEND')) === clients.length)
  expect(old.done.length).toBe(atHold)
  expect(fresh.done.length).toBe(0)
  await routing.point('new')
  expect(fresh.done.length).toBe(0)
  await routing.release()
  await pollUntil('commands flow on the new side', () => clients.every(({ answered }) => answered.at(-1)?.by === 'new'))
  for (const client of clients) await client[Symbol.asyncDispose]()

  expect(old.done.length).toBe(atHold)
  const done = { old: old.done, new: fresh.done }
  const all = [...old.done, ...fresh.done]
  expect(new Set(all).size).toBe(all.length)
  for (const { answered, unanswered } of clients) {
    expect(unanswered.length).toBeGreaterThan(0)
    for (const { command, by } of answered) expect(done[by as 'old' | 'new']).toContain(command)
  }
})

test('requests in flight end, those that come are held, and no client sees an error', async () => {
  await using gateway = await startRouted('http')
  await using routing = gateway.routing()
  const agent = new Agent({ keepAlive: true, maxSockets: 4 })
  let isOver = false
  const answers: string[] = []
  const asking = Array.from({ length: 4 }, async () => {
    while (!isOver) answers.push(await ask(gateway.proxy, agent))
  })
  await pollUntil('requests flow', () => answers.length > 40)
  gateway.old.takesMs = 150
  await routing.hold({ withinMs: 20_000 })
  const atHold = gateway.old.done.length
  expect(await routing.where()).toBe('old')
  await routing.point('new')
  expect(await routing.where()).toBe('new')
  expect(gateway.old.done.length + gateway.fresh.done.length).toBe(atHold)
  await routing.release()
  await pollUntil('requests flow on the new side', () => answers.filter((by) => by === 'new').length > 40)
  isOver = true
  await Promise.all(asking)
  agent.destroy()

  expect(gateway.old.done.length).toBe(atHold)
  expect(answers.filter((by) => by === 'old').length).toBe(atHold)
  expect(answers.filter((by) => by === 'new').length).toBe(gateway.fresh.done.length)
})

test('a request that outlasts the budget makes hold give up, and nobody is left waiting', async () => {
  await using gateway = await startRouted('http')
  await using routing = gateway.routing()
  gateway.old.takesMs = 3_000
  const long = ask(gateway.proxy)
  await pollUntil('it is in flight', async () => (await currentOf(gateway.proxy, 'before')) === 1)
  await expect(routing.hold({ withinMs: 200 })).rejects.toMatchObject({ code: 'routing.failed' })
  gateway.old.takesMs = 0
  expect(await ask(gateway.proxy)).toBe('old')
  expect(await long).toBe('old')
  await routing.hold({ withinMs: 20_000 })
  await routing.release()
  expect(await ask(gateway.proxy)).toBe('old')
})

test('every verb may be repeated, by another process too, and a restart of HAProxy changes nothing', async () => {
  await using gateway = await startRouted('http')
  const { proxy } = gateway
  await gateway.routing().hold({ withinMs: 20_000 })
  await gateway.routing().hold({ withinMs: 20_000 })
  await proxy.kill()
  await proxy.restart()
  const held = ask(proxy).catch(() => 'cut')
  expect(await gateway.routing().where()).toBe('old')
  await gateway.routing().point('new')
  await gateway.routing().point('new')
  await proxy.kill()
  expect(await held).toBe('cut')
  await proxy.restart()
  const again = ask(proxy).catch(() => 'cut')
  await gateway.routing().release()
  await gateway.routing().release()
  expect(await again).toBe('new')
  await proxy.kill()
  await proxy.restart()
  expect(await ask(proxy)).toBe('new')
  expect(await gateway.routing().where()).toBe('new')
  expect(gateway.old.done).toEqual([])
})

test('where a restart in the pause has let clients in, pointing ends their connections', async () => {
  await using gateway = await startRouted('tcp')
  // As on another machine, whose state file nobody writes.
  const routing = gateway.routing({ stateFile: undefined })
  await routing.hold({ withinMs: 20_000 })
  await gateway.proxy.kill()
  await gateway.proxy.restart()
  await using client = new Commander('c', gateway.proxy.address('wallet'))
  await pollUntil('the client was let in', () => client.answered.at(-1)?.by === 'old')
  await routing.point('new')
  await routing.release()
  await pollUntil('the client came anew', () => client.answered.at(-1)?.by === 'new')
})

test('services that stay where they are can be held alone', async () => {
  await using gateway = await startRouted('http')
  const routing = gateway.routing({ servers: { old: ['before'], new: ['before'] }, addresses: undefined })
  await routing.hold({ withinMs: 20_000 })
  const held = ask(gateway.proxy)
  await pollUntil('it waits', async () => (await currentOf(gateway.proxy, 'FRONTEND')) === 1)
  expect(gateway.old.done).toEqual([])
  await routing.point('new')
  await routing.release()
  expect(await held).toBe('old')
})

test('what would make a hold or a switchover fail is found', async () => {
  await using gateway = await startRouted('tcp')
  const findings = async (overrides?: Partial<HaproxyRoutingOptions>) =>
    (await gateway.routing(overrides).assess()).map(({ id, severity }) => `${id} ${severity}`)
  expect(await findings()).toEqual(['haproxy.sessions-end note'])
  expect(await findings({ socket: '127.0.0.1:1' })).toEqual(['haproxy.unreachable blocker'])
  expect(await findings({ backend: 'nobody' })).toEqual(['haproxy.unreachable blocker'])
  expect(await findings({ wait: 'nobody' })).toContain('haproxy.unknown-server blocker')
  expect(await findings({ servers: { old: ['after'], new: ['wait'] } })).toContain('haproxy.other-server blocker')
  expect(await findings({ stateFile: undefined })).toContain('haproxy.state-not-kept risk')
  expect(await findings({ stateFile: '/nowhere/state' })).toContain('haproxy.state-not-writable blocker')
  const { old, fresh } = gateway
  expect(await findings({ addresses: { old: fresh, new: old } })).toContain('haproxy.points-elsewhere risk')
  await gateway.routing().hold({ withinMs: 20_000 })
  expect(await findings()).toContain('haproxy.held blocker')
})

test('servers of both sides in service are no place to hold, and stay as they are', async () => {
  await using gateway = await startRouted('http')
  await gateway.proxy.command('set server wallet/after state ready')
  await expect(gateway.routing().hold({ withinMs: 1_000 })).rejects.toMatchObject({ code: 'routing.failed' })
  expect(await gateway.routing().where()).toBeUndefined()
  expect(await ask(gateway.proxy)).toMatch(/old|new/)
})

async function currentOf(proxy: HaproxyServer, name: string): Promise<number> {
  const lines = (await proxy.command('show stat wallet 7 -1')).split('\n')
  return Number(lines.find((line) => line.startsWith(`wallet,${name},`))?.split(',')[4])
}

/** Throws where the answer is not a success. */
function ask(proxy: HaproxyServer, agent?: Agent): Promise<string> {
  const { host, port } = proxy.address('wallet')
  return new Promise((resolve, reject) => {
    const asked = request({ host, port, path: '/', method: 'POST', agent: agent ?? new Agent() }, (answer) => {
      text(answer).then((body) => (answer.statusCode === 200 ? resolve(body) : reject(new Error(body))), reject)
    })
    asked.on('error', reject).end()
  })
}
