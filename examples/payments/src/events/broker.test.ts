import { setTimeout as delay } from 'node:timers/promises'
import { startRabbitmq } from '@replatform/testkit/rabbitmq-server'
import { TcpProxy } from '@replatform/testkit/tcp-proxy'
import { expect, test } from 'vitest'
import { openBroker } from './broker.ts'

test('a connection that drops at any point of being opened is an error like others, and one that stands is told', async () => {
  await using server = await startRabbitmq()
  await using proxy = new TcpProxy(server)
  await proxy.listen()
  const url = proxy.url(server.url())
  // Every millisecond of the handshake; a rejection that nobody can handle would fail the run.
  for (let ms = 0; ms < 60; ms++) {
    const opening = openBroker(url, 'test').then(
      async (broker) => await broker[Symbol.asyncDispose](),
      (error: unknown) => expect(error).toBeInstanceOf(Error),
    )
    await delay(ms / 2)
    proxy.cut()
    await opening
  }
  await using broker = await openBroker(url, 'test')
  proxy.cut()
  await expect(broker.lost).rejects.toThrow()
})
