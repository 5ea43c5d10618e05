/**
 * The child's end of a mover process: holds the movers of one move, both ways, and answers the worker's requests.
 * The process ends itself when the channel closes, so that no mover outlives the worker that could stop it.
 */
import type { Mover } from '@replatform/core/connector'
import { invariant, ReplatformError, toReplatformError } from '@replatform/core/errors'
import type { Direction } from '@replatform/core/move'
import { type Clock, systemClock } from './clock.ts'
import { runMove } from './move-run.ts'
import type { Channel, MoverRequest, MoverVerb, MoverVerbs, MoveSpec } from './mover-protocol.ts'
import { noLimits } from './strain-watch.ts'
import { Throttle } from './throttle.ts'

export interface MoverHostOptions {
  readonly channel: Channel
  /** Opens the route of a move one way; secrets are resolved here, inside the child. */
  readonly openMover: (spec: MoveSpec, direction: Direction) => Mover
  readonly clock?: Clock
  /** Bytes of memory that this process takes; asked every second. */
  readonly rss?: () => number
}

type Handlers = { [V in MoverVerb]: (params: MoverVerbs[V]['params']) => Promise<MoverVerbs[V]['result']> }

/**
 * Serves until the channel closes; then stops what runs, closes both movers and resolves. The caller then ends the
 * process.
 *
 * A verb that is at work by then ends with the process, at once. Otherwise: (1) the worker dies while a mover begins
 * to fence the source; (2) the guard aborts the cutover and unfences it; (3) the mover, which is still stopping its
 * run, fences it.
 */
export async function serveMover(options: MoverHostOptions): Promise<void> {
  const host = new MoverHost(options)
  const { channel } = options
  const closing = new AbortController()
  void tellMemory(options, closing.signal)
  channel.onMessage((message) => void host.answer(message as MoverRequest))
  await new Promise<void>((resolve) => channel.onClose(resolve))
  closing.abort()
  if (host.isAtWork) return
  await host.close()
}

/** Told even when nothing happens: whoever started this process takes a long silence for a hang. */
async function tellMemory(
  { channel, clock = systemClock, rss = process.memoryUsage.rss }: MoverHostOptions,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(1_000, signal).catch(() => {})
    if (!signal.aborted) channel.send({ event: 'memory', rssBytes: rss() })
  }
}

class MoverHost {
  readonly #options: MoverHostOptions
  readonly #movers = new Map<Direction, Mover>()
  readonly #throttle: Throttle
  #limits = noLimits
  #spec: MoveSpec | null = null
  #atWork = 0
  #run: { readonly abort: AbortController; readonly ended: Promise<void> } | null = null

  constructor(options: MoverHostOptions) {
    this.#throttle = new Throttle(options.clock)
    this.#options = options
  }

  /** Whether a verb is at work whose caller could undo it. */
  get isAtWork(): boolean {
    return this.#atWork > 0
  }

  async answer(request: MoverRequest): Promise<void> {
    const { channel } = this.#options
    try {
      const handler = this.#handlers[request.verb] as ((params: unknown) => Promise<unknown>) | undefined
      if (!handler) throw new ReplatformError('usage', { message: `A mover has no verb "${request.verb}".` })
      const isVerb = request.verb !== 'run' && request.verb !== 'stop'
      if (isVerb) this.#atWork += 1
      const result = await handler(request.params).finally(() => {
        if (isVerb) this.#atWork -= 1
      })
      channel.send({ id: request.id, result })
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
    throttle: async (limits) => {
      this.#limits = limits
      return done(this.#throttle.limit(limits.bytesPerSecond))
    },
    prepareFlow: ({ direction }) => done(this.#mover(direction).prepare({ load: false })),
    raiseEpoch: ({ direction }) => done(this.#mover(direction).raiseEpoch()),
    fence: ({ direction, side, withinMs, turn }) => done(this.#mover(direction).fence(side, { withinMs, turn })),
    unfence: ({ direction, side, turn }) => done(this.#mover(direction).unfence(side, { turn })),
    barrier: ({ direction }) => this.#mover(direction).barrier(),
    remaining: ({ direction, barrier }) => this.#mover(direction).remaining(barrier),
    compare: ({ direction, scope, at }) =>
      this.#mover(direction).compare({
        scope,
        at,
        report: (progress) => this.#options.channel.send({ event: 'compare', ...progress }),
      }),
    settleAhead: ({ direction, pauseMs }) => done(this.#mover(direction).settleAhead({ pauseMs })),
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
      limits: () => this.#limits,
      signal: abort.signal,
      emit: (event) => channel.send(event),
      clock: this.#options.clock ?? systemClock,
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
