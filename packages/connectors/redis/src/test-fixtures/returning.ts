/** Follows back as a supervisor lets it: what is only a sign of a server that takes over is tried again. */
import type { Mover } from '@replatform/core/connector'
import { position } from '@replatform/core/position'
import { pollUntil } from '@replatform/testkit/poll-until'
import { Following } from './move-rig.ts'

const nowhere = { position: position('everything'), at: '' }

export class Returning implements AsyncDisposable {
  /** Of the runs that were tried again, the codes of what ended them. */
  readonly ends: string[] = []
  readonly #mover: Mover
  readonly #ended: Promise<void>
  #following: Following | null = null
  #failure: unknown = null
  #isOver = false

  constructor(mover: Mover) {
    this.#mover = mover
    this.#ended = this.#run()
  }

  /** What ended it for good, or null. */
  get failure(): unknown {
    return this.#failure
  }

  /** Until everything that is known is copied, and nothing can have been missed. */
  async level(): Promise<void> {
    await pollUntil(
      'the way back is level',
      async () => {
        if (this.#failure) return true
        const { count } = await this.#mover.remaining(nowhere)
        return count === 0 && (this.#following?.latest?.lagMs ?? 1_000) < 1_000
      },
      { withinMs: 60_000 },
    )
    if (this.#failure) throw this.#failure
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await this.#following?.stop().catch(() => {})
    await this.#ended
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      this.#following = new Following(this.#mover)
      try {
        await this.#following.ended
      } catch (thrown) {
        const { retry, code = '' } = thrown as { retry?: string; code?: string }
        if (retry !== 'retry') {
          this.#failure = thrown
          return
        }
        this.ends.push(code)
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
  }
}
