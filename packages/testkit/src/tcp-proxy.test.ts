import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { startTcpProxy } from './tcp-proxy.ts'

test('data goes through, both ways', async () => {
  await using echo = await startEcho()
  await using proxy = await startTcpProxy(echo)
  using client = await open(proxy)
  expect(await ask(client, 'ping')).toBe('ping')
})

test('cut resets what is open and lets new connections through', async () => {
  await using echo = await startEcho()
  await using proxy = await startTcpProxy(echo)
  using client = await open(proxy)
  await ask(client, 'ping')
  proxy.cut()
  await expect(once(client, 'data')).rejects.toMatchObject({ code: 'ECONNRESET' })
  using next = await open(proxy)
  expect(await ask(next, 'again')).toBe('again')
})

test('refuse turns connections away until restore', async () => {
  await using echo = await startEcho()
  await using proxy = await startTcpProxy(echo)
  proxy.refuse()
  await expect(open(proxy)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  await proxy.restore()
  using client = await open(proxy)
  expect(await ask(client, 'back')).toBe('back')
})

test('what a black hole took in arrives after restore', async () => {
  await using echo = await startEcho()
  await using proxy = await startTcpProxy(echo)
  using client = await open(proxy)
  await ask(client, 'ping')
  proxy.blackhole()
  client.write('lost?')
  // Another connection's full round trip past the proxy: time enough for an answer, had there been one.
  using direct = await open(echo)
  await ask(direct, 'ping')
  expect(client.read()).toBeNull()
  const answer = once(client, 'data')
  await proxy.restore()
  expect(String((await answer)[0])).toBe('lost?')
})

test('a half-open connection takes everything and answers nothing, until it learns the truth', async () => {
  await using echo = await startEcho()
  await using proxy = await startTcpProxy(echo)
  using client = await open(proxy)
  await ask(client, 'ping')
  proxy.halfOpen()
  client.write('lost')
  using next = await open(proxy)
  expect(await ask(next, 'new')).toBe('new')
  expect(client.read()).toBeNull()
  expect(client.closed).toBe(false)
  const reset = once(client, 'data')
  await proxy.restore()
  await expect(reset).rejects.toMatchObject({ code: 'ECONNRESET' })
})

test('under a limit data takes its time, and arrives whole', async () => {
  await using echo = await startEcho()
  await using proxy = await startTcpProxy(echo)
  using client = await open(proxy)
  proxy.limitBandwidth(100_000)
  const startedMs = performance.now()
  client.write(Buffer.alloc(10_000))
  let bytes = 0
  for await (const data of client) {
    bytes += (data as Buffer).length
    if (bytes === 10_000) break
  }
  // There and back at 100 kB/s. More is possible on a busy machine, less is not.
  expect(performance.now() - startedMs).toBeGreaterThan(190)
})

test('under a delay much is on its way at once, and arrives whole and in its order', async () => {
  await using echo = await startEcho()
  await using proxy = await startTcpProxy(echo)
  using client = await open(proxy)
  // One after the other the pieces would take longer than a test may.
  proxy.delay(1_000)
  const sent = Array.from({ length: 500 }, (_, i) => Buffer.alloc(10_000, i))
  void (async () => {
    for (const piece of sent) await new Promise((resolve) => client.write(piece, resolve))
  })()
  const received: Buffer[] = []
  for (let bytes = 0; bytes < 5_000_000; bytes += (received.at(-1) as Buffer).length) {
    received.push((await once(client, 'data'))[0] as Buffer)
  }
  expect(Buffer.concat(received).equals(Buffer.concat(sent))).toBe(true)
})

test('an end of the server is an end for the client', async () => {
  await using echo = await startEcho()
  await using proxy = await startTcpProxy(echo)
  using client = await open(proxy)
  await ask(client, 'ping')
  const ended = once(client, 'close')
  client.end()
  await ended
})

async function startEcho(): Promise<{ host: string; port: number } & AsyncDisposable> {
  const server = createServer((socket) => socket.on('error', () => {}).pipe(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    host: '127.0.0.1',
    port,
    async [Symbol.asyncDispose]() {
      server.close()
    },
  }
}

async function open(address: { host: string; port: number }): Promise<Socket & Disposable> {
  const socket = connect(address)
  await once(socket, 'connect')
  return Object.assign(socket, {
    [Symbol.dispose]() {
      socket.destroy()
    },
  })
}

async function ask(client: Socket, question: string): Promise<string> {
  const answer = once(client, 'data')
  client.write(question)
  return String((await answer)[0])
}
