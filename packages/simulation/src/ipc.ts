import type { GuardChannel } from '@replatform/control/cutover-guard'
import type { GuardEnd } from '@replatform/control/guard-host'
import type { Channel } from '@replatform/engine/mover-protocol'
import type { SimProcess } from './sim-process.ts'
import type { World } from './world.ts'

/** The channel between a process and its child: in order, nothing twice, and it closes when one of them is gone. */
export class Ipc {
  readonly #world: World
  readonly #ends: readonly [End, End]

  constructor(world: World, parent: SimProcess, child: SimProcess) {
    this.#world = world
    this.#ends = [new End(parent), new End(child)]
    for (const [end, other] of [this.#ends, [...this.#ends].reverse() as [End, End]]) {
      end.process.onExit(() => this.#close(other))
    }
  }

  /** As the parent talks to a mover, or the mover to its parent. */
  channel(of: 'parent' | 'child'): Channel {
    const [mine, other] = this.#pair(of)
    return {
      send: (message) => this.#send(mine, other, message),
      onMessage: (handler) => void mine.handlers.add(handler),
      onClose: (handler) => void mine.closed.then(handler),
    }
  }

  disconnect(): void {
    for (const end of this.#ends) this.#close(end)
  }

  /** As a coordinator talks to its guard. */
  toGuard(): GuardChannel {
    const [mine, other] = this.#pair('parent')
    return {
      send: (message) => this.#send(mine, other, message),
      onMessage: (handler) => void mine.handlers.add(handler as (message: unknown) => void),
      gone: mine.closed,
      letGo: () => {},
    }
  }

  fromGuard(): GuardEnd {
    const [mine, other] = this.#pair('child')
    return {
      send: (message) => this.#send(mine, other, message),
      onMessage: (handler) => {
        mine.handlers.add(handler as (message: unknown) => void)
        return () => void mine.handlers.delete(handler as (message: unknown) => void)
      },
      gone: mine.closed,
    }
  }

  #pair(of: 'parent' | 'child'): [End, End] {
    const [parent, child] = this.#ends
    return of === 'parent' ? [parent, child] : [child, parent]
  }

  #send(from: End, to: End, message: unknown): void {
    if (!from.process.isAlive || to.isClosed) return
    // Messages stay in their order: each arrives after the one before.
    const { now, random } = this.#world
    to.arrivesAt = Math.max(to.arrivesAt, now + random.between(0.02, 0.3))
    to.process.after(to.arrivesAt - now, () => {
      for (const handler of [...to.handlers]) handler(message)
    })
  }

  #close(end: End): void {
    if (end.isClosed) return
    end.isClosed = true
    end.process.after(0.1, () => end.close())
  }
}

class End {
  readonly process: SimProcess
  readonly handlers = new Set<(message: unknown) => void>()
  readonly closed: Promise<void>
  readonly close: () => void
  arrivesAt = 0
  isClosed = false

  constructor(process: SimProcess) {
    this.process = process
    const { promise, resolve } = Promise.withResolvers<void>()
    this.closed = promise
    this.close = resolve
  }
}
