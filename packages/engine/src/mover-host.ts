/**
 * The child's end of a mover process: holds the movers of one move, both ways, and answers the worker's requests.
 * The process ends itself when the channel closes, so that no mover outlives the worker that could stop it.
 */
import type { Mover } from '@replatform/core/connector'
import { invariant, ReplatformError, toReplatformError } from '@replatform/core/errors'
import type { Direction } from '@replatform/core/move'
import { runMove } from './move-run.ts'
import type { Channel, MoverRequest, MoverVerb, MoverVerbs, MoveSpec } from './mover-protocol.ts'
import { Throttle } from './throttle.ts'

export interface MoverHostOptions {
  readonly channel: Channel
  /** Opens the route of a move one way; secrets are resolved here, inside the child. */
  readonly openMover: (spec: MoveSpec, direction: Direction) => Mover
}

type Handlers = { [V in MoverVerb]: (params: MoverVerbs[V]['params']) => Promise<MoverVerbs[V]['result']> }

/** Serves until the channel closes; then stops what runs, closes both movers and resolves. */
export async function serveMover(options: MoverHostOptions): Promise<void> {
  const host = new MoverHost(options)
  const { channel } = options
  const memory = setInterval(() => channel.send({ event: 'memory', rssBytes: process.memoryUsage.rss() }), 1_000)
  channel.onMessage((message) => void host.answer(message as MoverRequest))
  await new Promise<void>((resolve) => channel.onClose(resolve))
  clearInterval(memory)
  await host.close()
}

class MoverHost {
  readonly #options: MoverHostOptions
  readonly #movers = new Map<Direction, Mover>()
  readonly #throttle = new Throttle()
  #spec: MoveSpec | null = null
  #run: { readonly abort: AbortController; readonly ended: Promise<void> } | null = null

  constructor(options: MoverHostOptions) {
    this.#options = options
  }

  async answer(request: MoverRequest): Promise<void> {
    const { channel } = this.#options
    try {
      const handler = this.#handlers[request.verb] as ((params: unknown) => Promise<unknown>) | undefined
      if (!handler) throw new ReplatformError('usage', { message: `A mover has no verb "${request.verb}".` })
      channel.send({ id: request.id, result: await handler(request.params) })
    } catch (thrown) {
      channel.send({ id: request.id, error: toReplatformError(thrown).toJSON() })
    }
  }

  async close(): Promise<void> {
    await this.#stop().catch(() => {})
    for (const mover of this.#movers.values()) await Promise.resolve(mover[Symbol.asyncDispose]()).catch(() => {})
  }

  readonly #handlers: Handlers = {
    open: async ({ spec }) => {
      this.#spec = spec
      return null
    },
    assess: ({ direction }) => this.#mover(direction).assess(),
    run: ({ direction, state }) => this.#startRun(direction, state),
    stop: async () => {
      await this.#stop()
      return null
    },
    throttle: async ({ bytesPerSecond }) => done(this.#throttle.limit(bytesPerSecond)),
    prepareFlow: ({ direction }) => done(this.#mover(direction).prepare({ load: false })),
    raiseEpoch: ({ direction }) => done(this.#mover(direction).raiseEpoch()),
    fence: ({ direction, side, withinMs }) => done(this.#mover(direction).fence(side, { withinMs })),
    unfence: ({ direction, side }) => done(this.#mover(direction).unfence(side)),
    barrier: ({ direction }) => this.#mover(direction).barrier(),
    remaining: ({ direction, barrier }) => this.#mover(direction).remaining(barrier),
    compare: ({ direction, scope, at }) =>
      this.#mover(direction).compare({
        scope,
        at,
        report: (progress) => this.#options.channel.send({ event: 'compare', ...progress }),
      }),
    settle: ({ direction }) => done(this.#mover(direction).settle()),
    markStart: ({ direction }) => done(this.#mover(direction).markStart()),
    recordDecision: ({ direction, decision }) => done(this.#mover(direction).recordDecision(decision)),
    cleanUp: ({ direction, scope }) => done(this.#mover(direction).cleanUp(scope)),
  }

  async #startRun(direction: Direction, state: MoverVerbs['run']['params']['state']): Promise<null> {
    if (this.#run) throw new ReplatformError('usage', { message: 'The mover runs already.' })
    const { channel } = this.#options
    const abort = new AbortController()
    const ended = runMove({
      mover: this.#mover(direction),
      state,
      workers: this.#spec?.store.workers ?? 4,
      throttle: this.#throttle,
      signal: abort.signal,
      emit: (event) => channel.send(event),
    }).finally(() => {
      this.#run = null
    })
    this.#run = { abort, ended }
    await ended
    return null
  }

  /** The run's own error belongs to whoever asked for the run. */
  async #stop(): Promise<void> {
    this.#run?.abort.abort()
    await this.#run?.ended.catch(() => {})
  }

  #mover(direction: Direction): Mover {
    invariant(this.#spec, 'A mover must be opened before its verbs are called.')
    const open = this.#movers.get(direction)
    if (open) return open
    const mover = this.#options.openMover(this.#spec, direction)
    this.#movers.set(direction, mover)
    return mover
  }
}

async function done(work: Promise<void> | void): Promise<null> {
  await work
  return null
}
