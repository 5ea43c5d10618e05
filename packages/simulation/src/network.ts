import { ReplatformError } from '@replatform/core/errors'
import { never, type SimProcess } from './sim-process.ts'
import type { World } from './world.ts'

/** Something that answers over the network. What it has acknowledged it keeps, also when it goes down. */
export class SimServer {
  readonly name: string
  /** How long a message to it takes at most. */
  readonly slowestMs: number
  isUp = true

  constructor(name: string, slowestMs = 3_000) {
    this.name = name
    this.slowestMs = slowestMs
  }
}

export interface Request<T> {
  readonly to: SimServer
  /** For the story. */
  readonly what: string
  /** What the server does, in one transaction. */
  readonly act: () => T
  /** How long the server works at it. */
  readonly ms?: number
  /**
   * Given up before it has arrived, it never does: its connection is reset, and what is on its way taken back. Without
   * it a message may outlive its sender's patience.
   */
  readonly takenBack?: AbortSignal
}

const kinds = ['request lost', 'request late', 'answer lost'] as const
const kindsTakenBack = ['request lost', 'answer lost'] as const

/** How long a message outlives its sender, or its sender's belief that the connection is lost, at most. */
export const mostLateMs = 400

/**
 * Requests and answers with delays. A request that was sent arrives although its sender is dead meanwhile; one whose
 * sender was told that it is lost may have had its effect, or have it later.
 */
export class Network {
  readonly #world: World

  constructor(world: World) {
    this.#world = world
  }

  /** Of something that cannot get lost. */
  latency(): number {
    return this.#world.random.between(0.1, 1.5)
  }

  request<T>(from: SimProcess, { to, what, act, ms = 0, takenBack }: Request<T>): Promise<T> {
    if (!from.isAlive) return never()
    const { faults, random } = this.#world
    if (faults.isLost()) return this.#lose(from, to, what, act, takenBack !== undefined)
    return new Promise((resolve, reject) => {
      const arrive = () => {
        if (takenBack?.aborted || this.#isForgotten(from)) return
        const answer = this.#perform(from, to, what, act)
        from.after(random.between(0.1, 1.5), () => {
          if ('error' in answer) reject(answer.error)
          else resolve(answer.value)
        })
      }
      this.#world.scheduler.after(this.#delay(from, to, what) + ms, arrive, true)
    })
  }

  #perform<T>(from: SimProcess, to: SimServer, what: string, act: () => T): { value: T } | { error: unknown } {
    const world = this.#world
    if (!to.isUp) {
      world.tell(from.name, `${what} on ${to.name}: it is down`)
      return { error: new ReplatformError('connection.refused', { message: `${to.name} is down.` }) }
    }
    try {
      const value = act()
      world.tell(from.name, `${what} on ${to.name}`)
      return { value }
    } catch (error) {
      world.tell(from.name, `${what} on ${to.name}: ${(error as Error).message}`)
      return { error }
    }
  }

  #isForgotten({ diedAt }: SimProcess): boolean {
    return diedAt !== null && this.#world.now > diedAt + mostLateMs
  }

  #delay(from: SimProcess, to: SimServer, what: string): number {
    const { faults, random } = this.#world
    if (!faults.isSlow()) return random.between(0.1, 1.5)
    this.#world.strike('message slow', from.name, `${what} on ${to.name}`)
    return random.between(20, random.pick([200, to.slowestMs]))
  }

  /** The sender learns that the connection broke. Whether the server has done it, does it later or never: who knows. */
  #lose<T>(from: SimProcess, to: SimServer, what: string, act: () => T, isTakenBack: boolean): Promise<T> {
    const { random, scheduler } = this.#world
    const kind = random.pick(isTakenBack ? kindsTakenBack : kinds)
    this.#world.strike(kind, from.name, `${what} on ${to.name}`)
    const knowsAfterMs = random.between(1, 50)
    if (kind !== 'request lost') {
      const arrivesAfterMs = kind === 'answer lost' ? knowsAfterMs / 2 : knowsAfterMs + random.between(0, mostLateMs)
      scheduler.after(arrivesAfterMs, () => void this.#perform(from, to, what, act), true)
    }
    return new Promise((_, reject) => {
      from.after(knowsAfterMs, () => {
        reject(new ReplatformError('connection.lost', { message: `The connection to ${to.name} broke.` }))
      })
    })
  }
}
