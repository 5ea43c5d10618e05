import { once } from 'node:events'
import { type AddressInfo, connect as connectNet, createServer, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { expect, test } from 'vitest'
import { rigAuthority } from './certificate-authority.ts'
import { startHaproxy } from './haproxy-server.ts'

test('a route leads to one side, then to the other, also after a restart', async () => {
  await using source = await startSpeaker('source')
  await using target = await startSpeaker('target')
  await using gateway = await startHaproxy({ routes: { wallet: { sides: { source, target } } } })
  const ask = (): Promise<string> => firstWord(connectNet(gateway.address('wallet')))
  expect(await ask()).toBe('source')

  const open = connectNet(gateway.address('wallet'))
  expect(await firstWord(open, { keep: true })).toBe('source')
  await gateway.point('wallet', 'target')
  expect(await ask()).toBe('target')
  expect(open.closed).toBe(false)
  const ended = once(open, 'close')
  await gateway.endSessions('wallet', 'source')
  await ended

  await gateway.kill()
  await gateway.restart()
  expect(await ask()).toBe('target')
  await expect(gateway.point('wallet', 'nowhere')).rejects.toThrow('no side nowhere')
})

test('with TLS it shows a certificate of the rig', async () => {
  await using source = await startSpeaker('source')
  await using gateway = await startHaproxy({ tls: true, routes: { wallet: { sides: { source } } } })
  const { certificate: ca } = await rigAuthority()
  expect(await firstWord(connectTls({ ...gateway.address('wallet'), ca }))).toBe('source')
  await expect(firstWord(connectTls(gateway.address('wallet')))).rejects.toThrow(/self-signed|unable to (get|verify)/)
})

async function startSpeaker(word: string): Promise<{ host: string; port: number } & AsyncDisposable> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}))
    socket.write(word)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

async function firstWord(socket: Socket, { keep = false } = {}): Promise<string> {
  const [data] = await once(socket, 'data')
  if (!keep) socket.destroy()
  return String(data)
}
