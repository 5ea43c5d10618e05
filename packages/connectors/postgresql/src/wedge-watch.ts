/**
 * Tells a connection on which nobody will ever answer from a server that is only slow. TCP alone takes a quarter of an
 * hour for it, and longer where a firewall swallows packets without a word.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { ReplatformError } from '@replatform/core/errors'

export interface WatchedConnection {
  /** As `describe` writes it. */
  readonly name: string
  /** For how long an answer has been due; 0 while none is. */
  readonly silentMs: () => number
  /** Asked on another connection: whether the server works for this one, or at least hears it. */
  readonly isHeard: () => Promise<boolean>
  /** After which even a server that still works gets nowhere; for ever where nothing is said. */
  readonly hopelessMs?: number
}

export const usualPatienceMs = 60_000
/** A piece is 8 MB at most, which a target that works at all writes within seconds. */
export const usualHopelessMs = 15 * 60_000

export class WedgeWatch implements Disposable {
  /**
   * Rejects with `connection.lost` when a connection was silent for too long and its server knows nothing of a reason,
   * and with `target.stalled` when it knows one that has held for hopelessly long.
   */
  readonly wedged: Promise<never>
  readonly #wedged = Promise.withResolvers<never>()
  readonly #timer: NodeJS.Timeout
  readonly #patienceMs: number
  readonly #asked = new Set<WatchedConnection>()

  constructor(connections: readonly WatchedConnection[], patienceMs: number) {
    this.#patienceMs = patienceMs
    this.wedged = this.#wedged.promise
    this.wedged.catch(() => {})
    this.#timer = setInterval(() => {
      for (const connection of connections) void this.#look(connection)
    }, patienceMs / 4)
  }

  async #look(connection: WatchedConnection): Promise<void> {
    const isSilent = () => connection.silentMs() > this.#patienceMs
    if (!isSilent() || this.#asked.has(connection)) return
    this.#asked.add(connection)
    const answer = connection.isHeard().catch(() => false)
    const isHeard = await Promise.race([answer, sleep(this.#patienceMs, false, { ref: false })])
    this.#asked.delete(connection)
    if (!isSilent()) return
    if (isHeard) {
      this.#giveUpHopeless(connection)
      return
    }
    const seconds = Math.round(connection.silentMs() / 1_000)
    this.#wedged.reject(
      new ReplatformError('connection.lost', {
        message: `The connection to ${connection.name} has not answered for ${seconds} s.`,
      }),
    )
  }

  #giveUpHopeless({ name, silentMs, hopelessMs = Number.POSITIVE_INFINITY }: WatchedConnection): void {
    if (silentMs() < hopelessMs) return
    const minutes = Math.round(silentMs() / 60_000)
    this.#wedged.reject(
      new ReplatformError('target.stalled', {
        message: `${name.charAt(0).toUpperCase()}${name.slice(1)} has worked on one piece of the stream for ${minutes} min.`,
      }),
    )
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}
