/**
 * Whoever coordinates a cutover may die or hang while writes are held. A guard is a process of its own that waits
 * beside it: when the coordinator is gone, or the budget is over and nothing was decided, the guard ends the cutover by
 * the same record that the coordinator would have used. Whichever decides first, both do the same.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { Log } from '@replatform/core/connector'
import type { EstateWave } from '@replatform/core/estate'
import type { Direction } from '@replatform/core/move'
import type { MoveSpec } from '@replatform/engine/mover-protocol'

export interface GuardOrder {
  readonly id: string
  readonly direction: Direction
  readonly budgetMs: number
  readonly moves: readonly MoveSpec[]
  /** The wave whose gateways are held; null where there are none. */
  readonly wave: EstateWave | null
  /** Where the decision is recorded: a directory of flushed files, or null for the control database. */
  readonly decisionsPath: string | null
  /** The guard may outlive the worker, so it writes a log of its own: `guard.log` in the state directory. */
  readonly stateDirectory: string
}

/** `armed`: writes are about to be held, the budget runs. `ended`: the coordinator has taken the cutover to its end. */
export type ToGuard = { readonly order: GuardOrder } | { readonly tell: 'armed' | 'ended' }
export type FromGuard = 'ready' | 'armed'

export class CutoverGuard {
  readonly #child: ChildProcess

  /** Returns when the guard could take over. */
  static async start(main: URL, order: GuardOrder, log: Log): Promise<CutoverGuard> {
    const child = fork(main, [], { detached: true, stdio: ['ignore', 'ignore', 'ignore', 'ipc'], execArgv: [] })
    child.once('error', (error) => log.error({ err: error }, 'The guard of the cutover could not be started.'))
    const guard = new CutoverGuard(child)
    await guard.#ask({ order }, 'ready')
    child.unref()
    return guard
  }

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  /** Call before the first hold: from its return on the guard acts when we are gone. */
  async arm(): Promise<void> {
    await this.#ask({ tell: 'armed' }, 'armed')
  }

  end(): void {
    if (this.#child.connected) this.#child.send({ tell: 'ended' } satisfies ToGuard, () => {})
  }

  async #ask(message: ToGuard, answer: FromGuard): Promise<void> {
    const gone = once(this.#child, 'exit').then(() => Promise.reject(new Error('The guard of the cutover died.')))
    const answered = new Promise<void>((resolve) => {
      this.#child.on('message', (got) => {
        if (got === answer) resolve()
      })
    })
    this.#child.send(message, () => {})
    await Promise.race([answered, gone])
  }
}
