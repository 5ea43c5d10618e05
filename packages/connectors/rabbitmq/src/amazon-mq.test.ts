/** Goal: a target as Amazon MQ runs it takes the move: TLS on both its ports, its own policy, its users. */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pollUntil } from '@replatform/testkit/poll-until'
import { expect, test } from 'vitest'
import { probeRabbitmq } from './probe.ts'
import { rabbitmqRoute } from './route.ts'
import { Following, moverUrl, silent, startBrokerRig } from './test-fixtures/broker-rig.ts'

test('a move to Amazon MQ: verified TLS, and policies above its own', { timeout: 120_000 }, async () => {
  await using rig = await startBrokerRig({ next: { flavour: 'amazon-mq' } })
  const ca = join(rig.folder, 'ca.pem')
  await writeFile(ca, String(rig.next.authority))
  const [old, next] = [moverUrl(rig.old), `${moverUrl(rig.next)}&ca=${ca}`]
  await expect(probeRabbitmq({ url: moverUrl(rig.next), side: 'target' })).rejects.toMatchObject({ code: 'tls.failed' })
  await expect(probeRabbitmq({ url: next.replace(/:[^:@]*@/, ':wrong@'), side: 'target' })).rejects.toMatchObject({
    code: 'auth.failed',
  })
  expect(await probeRabbitmq({ url: next, side: 'target' })).toMatch(/^RabbitMQ 3\./)

  const call = rig.old.management.call.bind(rig.old.management)
  const policy = {
    'pattern': '^work$',
    'apply-to': 'queues',
    'definition': { 'dead-letter-exchange': '' },
    'priority': 0,
  }
  await call('PUT', 'policies/%2F/dlx', policy)
  await call('PUT', 'queues/%2F/work', { durable: true })
  await call('PUT', 'queues/%2F/log', { durable: true, arguments: { 'x-queue-type': 'stream' } })
  await call('POST', 'exchanges/%2F/amq.default/publish', {
    properties: { delivery_mode: 2 },
    routing_key: 'work',
    payload: 'top-up',
    payload_encoding: 'string',
  })
  await using mover = rabbitmqRoute.open({
    move: 'events',
    direction: 'forward',
    source: { kind: 'rabbitmq', url: old },
    target: { kind: 'rabbitmq', url: next, service: 'amazon-mq' },
    tools: {},
    workers: 1,
    log: silent,
  })
  const findings = await mover.assess()
  expect(findings.filter(({ severity }) => severity === 'blocker')).toEqual([])
  expect(findings.find(({ id }) => id === 'rabbitmq.consequences')?.evidence.join()).toMatch(
    /log: A stream is a log.*dlx: Its priority is raised by 1/,
  )
  await mover.prepare({ load: true })
  await using following = new Following(mover)
  await following.begun()
  await mover.fence('source', { withinMs: 20_000, turn: 1 })
  const barrier = await mover.barrier()
  await pollUntil('the message has crossed', async () => (await mover.remaining(barrier)).count === 0)
  await following.stop()
  expect(await mover.compare({ scope: 'changed', at: 'fenced' })).toMatchObject({ equal: true })
  await pollUntil('its policy holds', async () => {
    const found = (await rig.next.management.call('GET', 'queues/%2F/work')) as { policy: string; messages: number }
    return found.policy === 'dlx' && found.messages === 1
  })
})
