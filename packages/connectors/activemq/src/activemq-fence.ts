/**
 * What can be fenced of ActiveMQ: connections are ended by Jolokia until none but ours is listed. Users and rights stand
 * in files of the broker, on Amazon MQ behind its API and a restart, so nobody can be kept from coming back: the fence
 * holds while the applications are stopped or know another address, and every later step looks again.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { ReplatformError } from '@replatform/core/errors'
import { evidence } from '@replatform/core/finding'
import type { BrokerConnection, Jolokia } from './jolokia.ts'
import { isOwnConnection } from './own-names.ts'

/** A client that reconnects does so within this. */
const quietMs = 500

/** Throws `fence.timeout` with the names of those that come back. */
export async function fenceActivemq(jolokia: Jolokia, { withinMs }: { readonly withinMs: number }): Promise<void> {
  const deadline = performance.now() + withinMs
  let quietSince = performance.now()
  let last: readonly BrokerConnection[] = []
  while (performance.now() - quietSince < Math.min(quietMs, withinMs / 2)) {
    const others = await othersOf(jolokia)
    for (const other of others) await jolokia.endConnection(other)
    if (others.length > 0) {
      last = others
      quietSince = performance.now()
    }
    if (performance.now() > deadline) {
      throw new ReplatformError('fence.timeout', {
        message: `Clients keep connecting to ActiveMQ: ${namesOf(last)}.`,
        next: 'Stop these applications, or point them to the other broker: ActiveMQ has no way to keep them out.',
      })
    }
    await delay(50)
  }
}

/** Throws `fence.not-held` when anybody but movers is connected. */
export async function requireAlone(jolokia: Jolokia): Promise<void> {
  const others = await othersOf(jolokia)
  if (others.length === 0) return
  throw new ReplatformError('fence.not-held', { message: `Clients are connected to ActiveMQ: ${namesOf(others)}.` })
}

async function othersOf(jolokia: Jolokia): Promise<BrokerConnection[]> {
  return (await jolokia.connections()).filter(({ client }) => !isOwnConnection(client))
}

function namesOf(connections: readonly BrokerConnection[]): string {
  return evidence(connections.map(({ client, protocol }) => `${client} (${protocol})`)).join(', ')
}
