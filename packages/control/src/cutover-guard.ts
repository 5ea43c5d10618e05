/**
 * Whoever coordinates a cutover may die or hang while writes are held. A guard is a process of its own that waits
 * beside it: when the coordinator is gone, or the budget is over and nothing was decided, the guard ends the cutover by
 * the same record that the coordinator would have used. Whichever decides first, both do the same.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import type { Log } from '@replatform/core/connector'
import type { EstateWave } from '@replatform/core/estate'
import type { Direction } from '@replatform/core/move'
import type { MoveSpec } from '@replatform/engine/mover-protocol'

export interface GuardOrder {
  readonly id: string
  readonly direction: Direction
  readonly turn: number
  readonly budgetMs: number
  readonly moves: readonly MoveSpec[]
  /** The wave whose gateways are held; null where there are none. */
  readonly wave: EstateWave | null
  /** Where the decision is recorded: a directory of flushed files, or null for the control database. */
  readonly decisionsPath: string | null
  /** The guard may outlive the worker, so it writes a log of its own: `guard.log` in the state directory. */
  readonly stateDirectory: string
}

/**
 * `armed`: writes are about to be held, the budget runs. `ended`: the coordinator has taken the cutover to its end.
 * `failed`: it lives but cannot.
 */
export type ToGuard = { readonly order: GuardOrder } | { readonly tell: 'armed' | 'ended' | 'failed' }
export type FromGuard = 'ready' | 'armed'

/** The coordinator's end of the channel to its guard. */
export interface GuardChannel {
  /** A message to a guard that has gone is lost. */
  send(message: ToGuard): void
  onMessage(handler: (message: FromGuard) => void): void
  /** Resolves when the guard is gone. */
  readonly gone: Promise<void>
  /** From now on the guard keeps nobody from ending. */
  letGo(): void
}

/** A process of its own that outlives us. */
export function forkGuard(main: URL, log: Log): GuardChannel {
  const child = fork(main, [], { detached: true, stdio: ['ignore', 'ignore', 'ignore', 'ipc'], execArgv: [] })
  child.once('error', (error) => log.error({ err: error }, 'The guard of the cutover could not be started.'))
  return {
    send: (message) => void (child.connected && child.send(message, () => {})),
    onMessage: (handler) => void child.on('message', handler),
    gone: once(child, 'exit').then(() => {}),
    letGo: () => child.unref(),
  }
}

export class CutoverGuard {
  readonly #channel: GuardChannel
  #isEnded = false

  /** Returns when the guard could take over. */
  static async start(channel: GuardChannel, order: GuardOrder): Promise<CutoverGuard> {
    const guard = new CutoverGuard(channel)
    await guard.#ask({ order }, 'ready')
    channel.letGo()
    return guard
  }

  private constructor(channel: GuardChannel) {
    this.#channel = channel
  }

  /** Calls back when it dies before the cutover has ended. */
  onGone(told: () => void): void {
    void this.#channel.gone.then(() => {
      if (!this.#isEnded) told()
    })
  }

  /** Call before the first hold: from its return on the guard acts when we are gone. */
  async arm(): Promise<void> {
    await this.#ask({ tell: 'armed' }, 'armed')
  }

  end(): void {
    this.#isEnded = true
    this.#channel.send({ tell: 'ended' })
  }

  /** Leaves the cutover to the guard: whoever asks must not wait for a person while writes are held. */
  takeOver(): void {
    this.#isEnded = true
    this.#channel.send({ tell: 'failed' })
  }

  async #ask(message: ToGuard, answer: FromGuard): Promise<void> {
    const gone = this.#channel.gone.then(() => Promise.reject(new Error('The guard of the cutover died.')))
    const answered = new Promise<void>((resolve) => {
      this.#channel.onMessage((got) => {
        if (got === answer) resolve()
      })
    })
    this.#channel.send(message)
    await Promise.race([answered, gone])
  }
}
