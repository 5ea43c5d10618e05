import { ReplatformError } from '@replatform/core/errors'
import type { Routing } from '@replatform/core/routing'
import type { Network } from './network.ts'
import { never, type SimProcess } from './sim-process.ts'
import type { SimStore } from './sim-store.ts'

/**
 * The switchover point in front of a `SimStore`, as a pooler is: it holds what comes, and waits for what is in flight.
 * It is asked over one connection, one thing after the other; what was given up on it is taken back.
 */
export function openSimRouting(network: Network, process: SimProcess, store: SimStore): Routing {
  const { pooler } = store
  let before: Promise<unknown> = Promise.resolve()

  async function ask<T>(what: string, act: () => T, withinMs = 1_000): Promise<T> {
    const givenUp = new AbortController()
    const send = () => network.request(process, { to: pooler.server, what, act, takenBack: givenUp.signal })
    const timer = process.clock.timer(withinMs)
    const answered = before.then(send)
    before = Promise.race([answered, timer.elapsed]).catch(() => {})
    try {
      return await Promise.race([answered, timer.elapsed.then(late)])
    } finally {
      timer.cancel()
      givenUp.abort()
    }
  }

  function late(): never {
    throw new ReplatformError('connection.timeout', { message: `The pooler of ${store.name} does not answer.` })
  }

  const release = () =>
    ask('release', () => {
      pooler.isHeld = false
      pooler.hasLostHold = false
      for (const dispatch of pooler.waiting.splice(0)) dispatch()
    })

  async function waitUntilHeld(deadline: number): Promise<void> {
    const left = () => Math.max(1, deadline - process.clock.now())
    const hold = () => {
      pooler.isHeld = true
      pooler.hasLostHold = false
    }
    await ask('hold', hold, left())
    while ((await ask('ask what is in flight', () => pooler.inFlight, left())) > 0) {
      if (process.clock.now() > deadline) throw late()
      await process.clock.sleep(2)
    }
  }

  return {
    name: `pooler of ${store.name}`,
    writes: 'held',
    assess: async () => [],
    hold: async ({ withinMs }) => {
      if (!process.isAlive) return never()
      try {
        await waitUntilHeld(process.clock.now() + withinMs)
      } catch (cause) {
        await release()
        throw new ReplatformError('routing.failed', { message: `Writes to ${store.name} were not held.`, cause })
      }
    },
    point: (place) =>
      ask(`point to ${place}`, () => {
        pooler.place = place
      }),
    release,
    where: () => ask('where', () => pooler.place),
    [Symbol.asyncDispose]: async () => {},
  }
}
