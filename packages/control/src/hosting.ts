import type { Log } from '@replatform/core/connector'
import { HostedMove } from './hosted-move.ts'
import type { Jobs } from './jobs.ts'
import type { Services } from './services.ts'

/** pg-boss ends any job after a day; a host that returns before can choose a moment outside a cutover. */
const handOverAfterMs = 12 * 60 * 60 * 1_000

/** The moves that this worker hosts. */
export class Hosting {
  readonly #services: Services
  readonly #jobs: Jobs
  readonly #log: Log
  readonly #stopping = new AbortController()
  readonly #hosted = new Map<string, HostedMove>()
  readonly #gone = new Map<string, Promise<void>>()

  constructor(services: Services, jobs: Jobs) {
    this.#services = services
    this.#jobs = jobs
    this.#log = services.log
  }

  get(move: string): HostedMove | undefined {
    return this.#hosted.get(move)
  }

  async start(most: number): Promise<void> {
    await this.#jobs.hostMoves(most, (move, signal) => this.#hostOnce(move, signal))
  }

  /** Returns when every move has come to a durable point and can be taken over. */
  async stop(): Promise<void> {
    await this.#jobs.stopHosting()
    this.#stopping.abort()
    await Promise.allSettled(this.#gone.values())
  }

  /** A claim that was lost and won again may come back before the first host has let go of the move. */
  async #hostOnce(name: string, signal: AbortSignal): Promise<void> {
    await this.#gone.get(name)?.catch(() => {})
    const host = this.#host(name, signal)
    this.#gone.set(name, host)
    await host.finally(() => this.#gone.delete(name))
  }

  async #host(name: string, claim: AbortSignal): Promise<void> {
    const until = AbortSignal.any([claim, this.#stopping.signal, AbortSignal.timeout(handOverAfterMs)])
    if (until.aborted) return
    const move = await HostedMove.load(this.#services, name)
    this.#hosted.set(name, move)
    try {
      await move.begin()
      const unfinished = await this.#services.operations.running(name)
      const ids = unfinished.map(({ id }) => id)
      await this.#jobs.workOperations(name, ids, (operation) => move.perform(operation))
      await aborted(until)
    } catch (thrown) {
      this.#log.error({ move: name, err: thrown }, 'The move cannot be hosted; it is tried again.')
      throw thrown
    } finally {
      await Promise.all([move.stop(), this.#jobs.stopOperations(name)])
      await move.supervisor.close()
      this.#hosted.delete(name)
    }
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}
