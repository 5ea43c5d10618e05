import type { Log } from '@replatform/core/connector'
import { ReplatformError, toReplatformError } from '@replatform/core/errors'
import type { Direction, MoveState } from '@replatform/core/move'
import type { Clock } from '@replatform/engine/clock'
import type { MoverEvent, MoverVerb, MoverVerbs, MoveSpec } from '@replatform/engine/mover-protocol'
import type { Limits } from '@replatform/engine/strain-watch'
import type { MoveStatus } from './api-types.ts'
import { MoveProgress } from './move-progress.ts'
import type { MoverLink } from './mover-process.ts'

export interface MoveSupervisorOptions {
  readonly spec: MoveSpec
  readonly startMover: () => MoverLink
  /** Where the run begins; asked anew before each. */
  readonly where: () => { readonly direction: Direction; readonly state: MoveState }
  /** What the mover is allowed; asked anew before each run. */
  readonly limits: () => Limits
  /** Called for one state after the other; the next waits until the one before is recorded. */
  readonly onState: (state: MoveState) => Promise<void>
  /** The run has ended for good and waits for a person. */
  readonly onPaused: (error: ReplatformError) => Promise<void>
  readonly clock: Clock
  readonly log: Log
}

/** Waiting time before the n-th start in a row that got nowhere: never hot, never longer than half a minute. */
export function backoffMs(attempt: number): number {
  return Math.min(100 * 2 ** attempt, 30_000)
}

/** A mover that crashes this often without one more durable row has a cause that time does not heal. */
const crashesInVain = 8
const stopWithinMs = 30_000

/** Keeps the mover of one move running: starts it, starts it again, and gives up when only a person can help. */
export class MoveSupervisor implements AsyncDisposable {
  readonly progress = new MoveProgress()
  readonly #options: MoveSupervisorOptions
  #opened: Promise<MoverLink> | null = null
  #process: MoverLink | null = null
  #run: { readonly abort: AbortController; readonly ended: Promise<void> } | null = null
  #recording: Promise<void> = Promise.resolve()
  #restarts = 0
  #wasLimited = false
  #isClosing = false

  constructor(options: MoveSupervisorOptions) {
    this.#options = options
  }

  get mover(): MoveStatus['mover'] {
    if (!this.#process) return null
    return { pid: this.#process.pid, rssBytes: this.progress.rssBytes, restarts: this.#restarts }
  }

  /** Whether a run is wanted just now; it may be waiting before its next start. */
  get isRunning(): boolean {
    return this.#run !== null
  }

  /** Begins to run, in the background; does nothing while it runs. */
  start(): void {
    if (this.#run) return
    const abort = new AbortController()
    const run = { abort, ended: this.#keepRunning(abort.signal) }
    this.#run = run
    void run.ended.finally(() => {
      if (this.#run === run) this.#run = null
    })
  }

  /**
   * Ends the run at a durable point; the process stays for further verbs. A mover that does not end in time is
   * killed, which costs nothing but the work since its last checkpoint.
   */
  async stop({ withinMs = stopWithinMs }: { readonly withinMs?: number } = {}): Promise<void> {
    const run = this.#run
    if (!run) return this.#recording
    run.abort.abort()
    const inTime = new AbortController()
    const late = this.#options.clock.sleep(withinMs, inTime.signal).then(
      () => this.#process?.kill(),
      () => {},
    )
    // Whatever the mover answers: the run has ended, or it crashed.
    if (this.#process) await this.#process.client.call('stop', {}).catch(() => {})
    await run.ended
    inTime.abort()
    await late
    await this.#recording
  }

  /** Tells the mover what it is allowed now; one that was never told may do as it can. */
  async limit(): Promise<void> {
    const limits = this.#options.limits()
    const isLimited = Object.values(limits).some((limit) => limit !== null)
    if (!this.#process || (!isLimited && !this.#wasLimited)) return
    await this.#process.client.call('throttle', limits)
    this.#wasLimited = isLimited
  }

  /** Ends the process at once, in the middle of whatever it does; a run begins again in a new one. */
  async kill(): Promise<void> {
    this.#process?.kill()
    await this.#process?.client.closed
  }

  /** Calls a verb, in a new process where none lives. All verbs are idempotent, so callers may call again. */
  async call<V extends MoverVerb>(verb: V, params: MoverVerbs[V]['params']): Promise<MoverVerbs[V]['result']> {
    const mover = await this.#open()
    try {
      return await mover.client.call(verb, params)
    } catch (thrown) {
      if (!this.#isClosing) throw thrown
      const message = `The move stood still before "${verb}" had ended.`
      throw new ReplatformError('operation.interrupted', { message, cause: thrown })
    }
  }

  /** Ends run and process. A later call or start opens a new one. */
  async close(): Promise<void> {
    this.#isClosing = true
    try {
      await this.stop()
      await this.#process?.[Symbol.asyncDispose]()
      this.progress.setStep(null)
    } finally {
      this.#isClosing = false
    }
  }

  /** An idle mover is not kept: it would hold memory and connections for nothing. */
  async closeWhenIdle(): Promise<void> {
    if (!this.#run) await this.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #keepRunning(signal: AbortSignal): Promise<void> {
    let attempt = 0
    while (!signal.aborted) {
      const advances = this.progress.advances
      const error = await this.#runOnce(signal)
      if (signal.aborted) return
      attempt = this.progress.advances > advances ? 1 : attempt + 1
      if (!this.#isWorthAnother(error, attempt)) return this.#giveUp(error)
      await this.#discard()
      await this.#waitBeforeNext(error, attempt, signal)
    }
  }

  /** Returns what ended the run; meaningless once the signal has been given. */
  async #runOnce(signal: AbortSignal): Promise<ReplatformError> {
    try {
      const mover = await this.#open()
      await this.limit()
      if (!signal.aborted) await mover.client.call('run', this.#options.where())
      return new ReplatformError('mover.crashed', { message: 'The mover ended its run although nobody had asked.' })
    } catch (thrown) {
      return toReplatformError(thrown)
    }
  }

  #isWorthAnother(error: ReplatformError, attempt: number): boolean {
    if (error.retry !== 'retry') return false
    return error.code !== 'mover.crashed' || attempt < crashesInVain
  }

  async #giveUp(error: ReplatformError): Promise<void> {
    const { log, spec, onPaused } = this.#options
    log.error({ move: spec.name, code: error.code }, `The move is paused: ${error.message}`)
    await this.#discard()
    await this.#recording
    await onPaused(error).catch((thrown) => log.error({ move: spec.name, err: thrown }, 'The pause was not recorded.'))
  }

  async #waitBeforeNext(error: ReplatformError, attempt: number, signal: AbortSignal): Promise<void> {
    const { clock, log, spec } = this.#options
    const ms = backoffMs(attempt)
    log.warn({ move: spec.name, code: error.code, attempt, ms }, `The mover starts again soon: ${error.message}`)
    this.#restarts += 1
    this.progress.setStep(`waits ${ms / 1_000} s to start again (${error.code}: ${error.message})`)
    await clock.sleep(ms, signal).catch(() => {})
    this.progress.setStep(null)
  }

  #open(): Promise<MoverLink> {
    this.#opened ??= this.#openProcess()
    return this.#opened
  }

  async #openProcess(): Promise<MoverLink> {
    const mover = this.#options.startMover()
    this.#process = mover
    mover.client.onEvent((event) => this.#take(event))
    void mover.client.closed.then(() => this.#forget(mover))
    await mover.client.call('open', { spec: this.#options.spec })
    return mover
  }

  #forget(mover: MoverLink): void {
    if (this.#process !== mover) return
    this.#process = null
    this.#opened = null
  }

  /** A process whose run failed may hold broken connections: it is not worth finding out which. */
  async #discard(): Promise<void> {
    await this.#process?.[Symbol.asyncDispose]()
  }

  #take(event: MoverEvent): void {
    const { clock, log, spec, onState } = this.#options
    this.progress.take(event, clock.now())
    if (event.event !== 'state') return
    const { state } = event
    this.#recording = this.#recording
      .then(() => onState(state))
      .catch((thrown) => log.error({ move: spec.name, state, err: thrown }, 'The state was not recorded.'))
  }
}
