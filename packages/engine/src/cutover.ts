/**
 * The cutover of a wave: every store switches at one point inside one bounded write pause, or none does.
 *
 * Before the decision any fault, overrun or crash leads back: the sources are unfenced and the estate goes on as it
 * was. The decision is one compare-and-set in a flushed record. After it the only way is forward: each later step is
 * idempotent and tried again until it succeeds, by this coordinator or by whoever takes over.
 *
 * What is forbidden is two sides taking writes. So a source is unfenced only after *aborted* stands in the record, and
 * a target only after *committed* stands there and in the target itself. An abort asks nothing of the target: when the
 * target is what failed, payments must not wait for it.
 */
import type { Barrier, Decision } from '@replatform/core/connector'
import type { CompareReport } from '@replatform/core/difference'
import { ReplatformError, toReplatformError } from '@replatform/core/errors'
import type { Direction } from '@replatform/core/move'
import type { Routing } from '@replatform/core/routing'
import type { Clock } from './clock.ts'
import type { CutoverParticipant } from './cutover-participant.ts'
import { type CutoverStep, type StepName, stepsOf } from './cutover-steps.ts'
import { allOf, requireEqual } from './cutover-work.ts'
import type { DecisionStore } from './decision-store.ts'

export interface StepJournal {
  started(step: CutoverStep): void | Promise<void>
  finished(step: CutoverStep, ms: number): void | Promise<void>
  failed(step: CutoverStep, error: ReplatformError): void | Promise<void>
}

export interface CutoverOptions {
  /** Unique to this attempt; the key of its decision. */
  readonly id: string
  /** `forward` cuts over, `reverse` rolls back. */
  readonly direction: Direction
  /** Grows with each cutover of a move; what arrives late of an earlier one turns no fence. See fence-order.ts. */
  readonly turn: number
  /** From the first hold to the decision. */
  readonly budgetMs: number
  readonly participants: readonly CutoverParticipant[]
  /** Switchover points in front of the whole wave: held before, and released after, those of its stores. */
  readonly gateways?: readonly Routing[]
  readonly decisions: DecisionStore
  readonly journal: StepJournal
  readonly clock: Clock
  /**
   * Whether nobody else has taken this cutover to its end meanwhile. A coordinator that slept may wake up after a later
   * cutover; what was right for its own would open a second side then.
   */
  readonly isOurs?: () => Promise<boolean>
}

export interface CutoverOutcome {
  readonly decision: Decision
  /** From the first hold until writes were let through again; null where this coordinator did not see both ends. */
  readonly pauseMs: number | null
  /** Why it was aborted. */
  readonly error: ReplatformError | null
}

/** Runs a cutover to its end. Does not throw for what leads to an abort: see the outcome. */
export async function cutOver(options: CutoverOptions): Promise<CutoverOutcome> {
  const run = new CutoverRun(options)
  try {
    await run.prepare()
    await run.pause()
  } catch (thrown) {
    return run.abort(toReplatformError(thrown))
  }
  return run.commit()
}

/**
 * Ends a cutover whose coordinator died. Undecided becomes *aborted*, unless the old coordinator still lives and
 * decides first: the record tells which, and both then do the same.
 */
export async function recoverCutover(options: CutoverOptions): Promise<CutoverOutcome> {
  const run = new CutoverRun(options)
  // Where the record does not answer the abort asks it again, for as long as it takes, and does what it says.
  const standing = await options.decisions.read(options.id).catch(() => undefined)
  if (standing?.outcome === 'committed') return run.goForward(standing)
  return run.abort(new ReplatformError('cutover.aborted', { message: 'The coordinator died before it had decided.' }))
}

/** How often a step is tried that seems to need a person. */
const patience = 8

/** Shorter than any claim lasts without its worker. */
const freshMs = 2_000

class CutoverRun {
  readonly #options: CutoverOptions
  readonly #steps: ReadonlyMap<StepName, CutoverStep>
  readonly #barriers = new Map<string, Barrier>()
  #heldAt: number | null = null
  #releasedAt: number | null = null

  constructor(options: CutoverOptions) {
    this.#options = options
    this.#steps = new Map(stepsOf(options.direction).map((step) => [step.name, step]))
  }

  /** What takes time and can be done while writes go on. */
  async prepare(): Promise<void> {
    await this.#eachDo('prepare-return', (p) => p.back.prepareFlow())
    await this.#eachDo('compare-live', async (p) => this.#requireRoom(p, await requireEqual(p, 'live')))
    await this.#eachDo('settle-ahead', (p) => p.flow.settleAhead({ pauseMs: this.#options.budgetMs }))
  }

  /** From the first hold to the last thing that can still fail. Returns with everything ready for the decision. */
  async pause(): Promise<void> {
    const { clock, budgetMs } = this.#options
    this.#heldAt = clock.now()
    await this.#do('hold', () => this.#hold(budgetMs / 2))
    await this.#eachDo('fence', (p) => p.flow.fence('source', { ...this.#remainingMs(), ...this.#turn }))
    await this.#eachDo('barrier', async (p) => void this.#barriers.set(p.name, await p.flow.barrier()))
    await this.#eachDo('drain', (p) => this.#drain(p))
    await this.#eachDo('stop-flow', (p) => p.stop())
    await this.#eachDo('raise-epoch', (p) => p.flow.raiseEpoch())
    await this.#eachDo('compare-changed', (p) => requireEqual(p, 'fenced'))
    await this.#eachDo('settle', (p) => p.flow.settle())
    await this.#eachDo('mark-return', (p) => p.back.markStart())
    this.#requireBudget('decide')
  }

  /** Where the record does not answer nobody knows what stands there: the abort asks again, and does what it says. */
  async commit(): Promise<CutoverOutcome> {
    const { decisions, id } = this.#options
    const decide = () => decisions.decide({ id, outcome: 'committed', at: this.#now() })
    const decision = await this.#do('decide', decide).catch(toReplatformError)
    if (decision instanceof ReplatformError) return this.abort(decision)
    if (decision.outcome === 'aborted') {
      return this.abort(new ReplatformError('cutover.aborted', { message: 'Another process had aborted the cutover.' }))
    }
    return this.goForward(decision)
  }

  /** Legal only when *committed* stands. Every step repeats until it succeeds, or throws for a person to look. */
  async goForward(decision: Decision): Promise<CutoverOutcome> {
    await this.#eachDo('record-decision', (p) => p.flow.recordDecision(decision))
    await this.#eachDo('unfence', (p) => p.flow.unfence('target', this.#turn))
    const place = this.#options.direction === 'forward' ? 'new' : 'old'
    await this.#do('point', () => this.#fromTheInside((routing) => routing.point(place)))
    await this.#do('release', () => this.#fromTheInside((routing) => routing.release()))
    this.#releasedAt = this.#options.clock.now()
    await this.#eachDo('end-flow', (p) => p.flow.cleanUp('stream'))
    return { decision, pauseMs: this.#pauseMs(), error: null }
  }

  async abort(error: ReplatformError): Promise<CutoverOutcome> {
    const { decisions, id } = this.#options
    const decision = await this.#do('abort', () => decisions.decide({ id, outcome: 'aborted', at: this.#now() }))
    if (decision.outcome === 'committed') return this.goForward(decision)
    await this.#eachDo('unfence-source', (p) => p.flow.unfence('source', this.#turn))
    await this.#do('let-through', () => this.#fromTheInside((routing) => routing.release()))
    this.#releasedAt = this.#options.clock.now()
    // The way back is opened on the target, which may be what failed; the next cutover takes over what stayed of it.
    await this.#eachDo('end-return', (p) => p.back.cleanUp('stream')).catch(() => {})
    return { decision, pauseMs: this.#pauseMs(), error }
  }

  /**
   * Before everything that opens or points. Without it: (1) a coordinator is suspended behind its decision; (2) its claim
   * goes to another worker, which ends the cutover; (3) a rollback is decided; (4) the first one wakes up and opens what
   * the rollback has fenced. An answer that took long says nothing: the sleep may have been behind it.
   */
  async #requireOurs(): Promise<void> {
    const { id, isOurs, clock } = this.#options
    for (let askedAt = Number.NEGATIVE_INFINITY; isOurs && clock.now() - askedAt > freshMs; ) {
      askedAt = clock.now()
      if (await isOurs()) continue
      throw new ReplatformError('epoch.superseded', { message: `Another coordinator has ended the cutover ${id}.` })
    }
  }

  /** Gateways first: what they hold never reaches a store, and so need not be waited for there. */
  async #hold(withinMs: number): Promise<void> {
    const hold = (routing: Routing) => routing.hold({ withinMs: Math.min(withinMs, this.#remainingMs().withinMs) })
    await allOf(this.#options.gateways ?? [], hold)
    await this.#eachRouting(hold)
  }

  /** Stores first: what a gateway lets through must find every store of the wave ready. */
  async #fromTheInside(act: (routing: Routing) => Promise<void>): Promise<void> {
    await this.#eachRouting(act)
    await allOf(this.#options.gateways ?? [], act)
  }

  #eachRouting(act: (routing: Routing) => Promise<void>): Promise<void> {
    return allOf(this.#options.participants, async ({ routings }) => {
      for (const routing of routings) await act(routing)
    })
  }

  async #drain(participant: CutoverParticipant): Promise<void> {
    const barrier = this.#barriers.get(participant.name) as Barrier
    for (;;) {
      const remaining = await participant.flow.remaining(barrier)
      if (remaining.count === 0) return
      this.#requireBudget('drain')
      await this.#options.clock.sleep(5)
    }
  }

  async #eachDo(name: StepName, act: (participant: CutoverParticipant) => Promise<unknown>): Promise<void> {
    await this.#do(name, () => allOf(this.#options.participants, act))
  }

  async #do<T>(name: StepName, act: () => Promise<T>): Promise<T> {
    const { clock, journal } = this.#options
    const step = this.#steps.get(name) as CutoverStep
    if (step.stage === 'pause') this.#requireBudget(name)
    await journal.started(step)
    const startedAt = clock.now()
    try {
      const result = await this.#by(step, act)
      await journal.finished(step, clock.now() - startedAt)
      return result
    } catch (thrown) {
      const error = toReplatformError(thrown)
      await journal.failed(step, error)
      throw error
    }
  }

  #by<T>(step: CutoverStep, act: () => Promise<T>): Promise<T> {
    if (step.stage === 'after' || (step.stage === 'abort' && step.name !== 'end-return')) return this.#insist(act)
    return step.stage === 'pause' ? this.#within(step, act) : act()
  }

  /** A step that does not answer in time may still be at work: its mover is ended before anything else is asked of it. */
  async #within<T>(step: CutoverStep, act: () => Promise<T>): Promise<T> {
    const timer = this.#options.clock.timer(this.#remainingMs().withinMs)
    let isOver = false
    const overrun = timer.elapsed.then(async () => {
      isOver = true
      await Promise.allSettled(this.#options.participants.map((participant) => participant.kill()))
      throw overBudget(this.#options.budgetMs, `"${step.name}" was done`)
    })
    try {
      // A mover that we end ends its step too; what is told is why.
      const done = act().catch((thrown) => (isOver ? overrun : Promise.reject(thrown)))
      return await Promise.race([done, overrun])
    } finally {
      timer.cancel()
    }
  }

  /**
   * After the decision, and on the way back, a step is tried for as long as trying can help: a server that is away
   * comes back, and nobody else would open a side then. What failed may have failed because somebody else is at it.
   */
  async #insist<T>(act: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#requireOurs()
        return await act()
      } catch (thrown) {
        const { retry } = toReplatformError(thrown)
        if (retry === 'terminal' || (retry === 'operator' && attempt >= patience)) throw thrown
        await this.#options.clock.sleep(Math.min(25 * 2 ** attempt, 2_000))
      }
    }
  }

  /** A flow that must look at everything inside the pause has measured how long that takes. */
  #requireRoom({ name }: CutoverParticipant, { pauseSeconds = 0 }: CompareReport): void {
    const { budgetMs } = this.#options
    if (pauseSeconds * 1_000 <= budgetMs) return
    throw new ReplatformError('cutover.budget-too-small', {
      message: `${name}: the comparison inside the pause will take about ${Math.ceil(pauseSeconds)} s, its budget is ${budgetMs} ms.`,
    })
  }

  get #turn(): { turn: number } {
    return { turn: this.#options.turn }
  }

  #requireBudget(step: string): void {
    if (this.#remainingMs().withinMs > 0) return
    throw overBudget(this.#options.budgetMs, `"${step}"`)
  }

  #remainingMs(): { withinMs: number } {
    const { budgetMs, clock } = this.#options
    return { withinMs: this.#heldAt === null ? budgetMs : this.#heldAt + budgetMs - clock.now() }
  }

  #pauseMs(): number | null {
    return this.#heldAt === null || this.#releasedAt === null ? null : this.#releasedAt - this.#heldAt
  }

  #now(): string {
    return new Date(this.#options.clock.wallTime()).toISOString()
  }
}

function overBudget(budgetMs: number, what: string): ReplatformError {
  return new ReplatformError('cutover.budget-exceeded', {
    message: `The write pause reached its budget of ${budgetMs} ms before ${what}.`,
  })
}
