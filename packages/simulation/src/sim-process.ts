import type { Clock } from '@replatform/engine/clock'
import type { Scheduled, Scheduler } from './scheduler.ts'

const epochMs = Date.UTC(2026, 0, 1)

/**
 * A process of an operating system. Code that runs in it reaches the world only by what is handed out here; once the
 * process is killed nothing is answered any more, so that its code stands still for ever at its next await. While it
 * is suspended answers wait, and time goes on without it.
 */
export class SimProcess {
  readonly name: string
  readonly clock: Clock
  /** A fault has hit it: nothing can be expected of it any more. */
  isStruck = false
  readonly #scheduler: Scheduler
  readonly #onExit: (() => void)[] = []
  /** What waits for the end of its suspension: told to look again. */
  readonly #late = new Map<() => void, () => void>()
  #diedAt: number | null = null
  #suspendedUntil = 0

  constructor(name: string, scheduler: Scheduler) {
    this.name = name
    this.#scheduler = scheduler
    this.clock = {
      now: () => scheduler.now,
      wallTime: () => epochMs + Math.floor(scheduler.now),
      sleep: (ms, signal) => this.#sleep(ms, signal),
      timer: (ms) => this.#timer(ms),
    }
  }

  get isAlive(): boolean {
    return this.#diedAt === null
  }

  get diedAt(): number | null {
    return this.#diedAt
  }

  get isSuspended(): boolean {
    return this.#suspendedUntil > this.#scheduler.now
  }

  onExit(act: () => void): void {
    this.#onExit.push(act)
  }

  /** Ends it, at whatever instant; what it had sent stays sent. */
  kill(): void {
    if (!this.isAlive) return
    this.#diedAt = this.#scheduler.now
    for (const act of this.#onExit.splice(0)) act()
  }

  suspend(ms: number): void {
    this.#suspendedUntil = Math.max(this.#suspendedUntil, this.#scheduler.now + ms)
  }

  /** Ends its suspension before its time. */
  wake(): void {
    this.#suspendedUntil = this.#scheduler.now
    for (const lookAgain of [...this.#late.values()]) lookAgain()
  }

  /** Something that happens to this process: not when it is dead by then, and later when it is suspended. */
  after(ms: number, act: () => void): Scheduled {
    let current: Scheduled
    const happen = () => {
      if (!this.isAlive) return
      const late = this.#suspendedUntil - this.#scheduler.now
      if (late <= 0) return act()
      current = this.#scheduler.after(late, happenLate)
      this.#late.set(happenLate, () => {
        current.cancel()
        current = this.#scheduler.after(0, happenLate)
      })
    }
    const happenLate = () => {
      this.#late.delete(happenLate)
      happen()
    }
    current = this.#scheduler.after(ms, happen)
    return {
      cancel: () => {
        this.#late.delete(happenLate)
        current.cancel()
      },
    }
  }

  /** A system call: it has its effect when it returns, or none. */
  io<T>(ms: number, act: () => T): Promise<T> {
    if (!this.isAlive) return never()
    return new Promise((resolve, reject) => {
      this.after(ms, () => {
        try {
          resolve(act())
        } catch (thrown) {
          reject(thrown)
        }
      })
    })
  }

  #sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
    if (!this.isAlive) return never()
    return new Promise((resolve, reject) => {
      const stop = () => reject(aborted)
      if (signal?.aborted) return stop()
      const abort = () => {
        event.cancel()
        stop()
      }
      const event = this.after(ms, () => {
        signal?.removeEventListener('abort', abort)
        resolve()
      })
      signal?.addEventListener('abort', abort, { once: true })
    })
  }

  #timer(ms: number): ReturnType<Clock['timer']> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const event = this.after(ms, resolve)
    return { elapsed: promise, cancel: () => event.cancel() }
  }
}

/** One for all: it says nothing of where, and making one costs more than everything else of a sleep. */
const aborted = new DOMException('The operation was aborted', 'AbortError')

export function never<T>(): Promise<T> {
  return new Promise(() => {})
}
