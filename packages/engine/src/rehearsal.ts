/**
 * A wave without its switch. What a cutover does to targets, streams and the decision record is done in earnest;
 * production is neither held nor fenced. Switchover points are copies, with clients that tell what the pause felt like.
 * Every step that needs a fenced source is exercised on a live one where its connector allows that, and is otherwise
 * said not to have been exercised.
 *
 * It ends as an aborted cutover does: the way back is given up, and following goes on.
 */
import type { Barrier } from '@replatform/core/connector'
import { ReplatformError, toReplatformError } from '@replatform/core/errors'
import type { CopyClient, Felt, Routing, RoutingCopy } from '@replatform/core/routing'
import type { Clock } from './clock.ts'
import type { CutoverParticipant } from './cutover-participant.ts'
import type { StepName } from './cutover-steps.ts'
import { allOf, requireEqual } from './cutover-work.ts'
import type { DecisionStore } from './decision-store.ts'

/** One step of the pause, as far as it could be tried. */
export interface RehearsedStep {
  readonly step: StepName
  /** The slowest of the moves; null where it was not exercised. */
  readonly ms: number | null
  /** What it was tried on, or why it was not. */
  readonly note: string
}

/** What became of one switchover point. */
export interface RehearsedRouting {
  readonly name: string
  /** Whether a copy of it was held, pointed and released. */
  readonly isTried: boolean
  readonly detail: string
  /** From the hold on; null where no client asked through the copy, or the rehearsal did not come to its release. */
  readonly felt: Felt | null
}

export interface Rehearsal {
  readonly steps: readonly RehearsedStep[]
  /** Gateways first, as they are held. */
  readonly routings: readonly RehearsedRouting[]
  /** What would have aborted the cutover. */
  readonly error: ReplatformError | null
}

export interface RehearsalOptions {
  /** Unique to this attempt; an *aborted* decision is recorded under it. */
  readonly id: string
  /** Without routings. */
  readonly participants: readonly CutoverParticipant[]
  /** In front of the wave as a whole, and of its stores. They are held, pointed and released in earnest. */
  readonly copies: { readonly gateways: readonly RoutingCopy[]; readonly stores: readonly RoutingCopy[] }
  readonly decisions: DecisionStore
  readonly clock: Clock
  readonly budgetMs: number
  readonly report: (step: RehearsedStep) => void | Promise<void>
}

/** How often a live mark is followed to the other side; the slowest counts. */
const marks = 3
/** A mark that has not arrived by then never will in a pause. */
const drainWithinMs = 60_000

/** Does not throw for what a cutover would be aborted for: see `error`. */
export async function rehearse(options: RehearsalOptions): Promise<Rehearsal> {
  const run = new RehearsalRun(options)
  try {
    await run.prepare()
    await run.pause()
    return { steps: run.steps, routings: run.routings(), error: null }
  } catch (thrown) {
    return { steps: run.steps, routings: run.routings(), error: toReplatformError(thrown) }
  } finally {
    await run.end()
  }
}

class RehearsalRun {
  readonly steps: RehearsedStep[] = []
  readonly #options: RehearsalOptions
  readonly #felt = new Map<CopyClient, Felt>()

  constructor(options: RehearsalOptions) {
    this.#options = options
  }

  routings(): RehearsedRouting[] {
    return this.#copies.map(({ name, detail, routing, client }) => {
      const felt = (client && this.#felt.get(client)) ?? null
      return { name, isTried: routing !== null, detail, felt }
    })
  }

  async prepare(): Promise<void> {
    await this.#each('prepare-return', (p) => p.back.prepareFlow(), 'on the targets, as the cutover does')
    await this.#each('compare-live', (p) => requireEqual(p, 'live'), 'while writes go on, as the cutover does')
  }

  async pause(): Promise<void> {
    const { decisions, id, budgetMs, clock, copies } = this.#options
    const { gateways, stores } = copies
    await Promise.all(this.#clients.map((client) => client.begin()))
    await this.#onCopies('hold', [gateways, stores], (routing) => routing.hold({ withinMs: budgetMs / 2 }))
    await this.#skip('fence', 'production is not fenced')
    await this.#drain()
    const compared = 'on live sides, which costs more than on fenced ones'
    await this.#each('compare-changed', (p) => requireEqual(p, 'live'), compared)
    await this.#each('stop-flow', (p) => p.stop(), 'following stood still for the steps below')
    await this.#each('raise-epoch', (p) => p.flow.raiseEpoch(), 'on the targets')
    await this.#each('settle', (p) => p.flow.settle(), 'on the targets, with what the live sources say')
    await this.#each('mark-return', (p) => p.back.markStart(), 'on the targets')
    const at = new Date(clock.wallTime()).toISOString()
    await this.#measure(
      'decide',
      () => decisions.decide({ id, outcome: 'aborted', at }),
      () => 'an aborted decision, flushed',
    )
    const record = (p: CutoverParticipant) => p.flow.recordDecision({ id, outcome: 'aborted', at })
    await this.#each('record-decision', record, 'the aborted decision, into the targets')
    await this.#skip('unfence', 'the targets stay fenced')
    await this.#onCopies('point', [this.#copies], (routing) => routing.point('new'))
    await this.#onCopies('release', [stores, gateways], (routing) => routing.release())
    await Promise.all(this.#clients.map(async (client) => this.#felt.set(client, await client.end())))
  }

  /** Whatever happened: nothing of the rehearsal stays, and copies point to where they did. */
  async end(): Promise<void> {
    const { participants } = this.#options
    const backToOld = this.#copies.map(async ({ routing }) => {
      await routing?.point('old')
      await routing?.release()
    })
    await Promise.allSettled(backToOld)
    await Promise.allSettled(participants.map((p) => p.back.cleanUp('stream')))
  }

  /** A mark needs no fence: it only shows how long what is written now is on its way. */
  async #drain(): Promise<void> {
    const { clock, participants } = this.#options
    let slowestMs: number | null = null
    const without: string[] = []
    await allOf(participants, async ({ name, flow }) => {
      for (let mark = 0; mark < marks; mark++) {
        const startedAt = clock.now()
        const isOn = await unlessFenced(async () => this.#arrival(flow, await flow.barrier()))
        if (!isOn) return void without.push(name)
        slowestMs = Math.max(slowestMs ?? 0, clock.now() - startedAt)
      }
    })
    const note = `the slowest of ${marks} marks in the live stream${exceptFor(without)}`
    await this.#add({ step: 'drain', ms: slowestMs, note })
  }

  async #arrival(flow: CutoverParticipant['flow'], barrier: Barrier): Promise<void> {
    const { clock } = this.#options
    const deadline = clock.now() + drainWithinMs
    while ((await flow.remaining(barrier)).count > 0) {
      if (clock.now() > deadline) {
        const message = `A mark was not on the other side after ${drainWithinMs / 1_000} s.`
        throw new ReplatformError('cutover.budget-exceeded', { message })
      }
      await clock.sleep(5)
    }
  }

  get #copies(): RoutingCopy[] {
    const { gateways, stores } = this.#options.copies
    return [...gateways, ...stores]
  }

  get #clients(): CopyClient[] {
    return this.#copies.flatMap(({ client }) => client ?? [])
  }

  /** One group after the other, as the cutover does. */
  async #onCopies(
    step: StepName,
    groups: readonly (readonly RoutingCopy[])[],
    act: (routing: Routing) => Promise<void>,
  ): Promise<void> {
    const without = this.#copies.filter(({ routing }) => !routing).map(({ name }) => name)
    const tried = groups.map((group) => group.flatMap(({ routing }) => routing ?? []))
    const names = tried.flat().map(({ name }) => name)
    if (names.length === 0) {
      const why = without.length === 0 ? 'the wave has no switchover point' : `no copy of ${without.join(', ')}`
      return this.#skip(step, why)
    }
    const all = async () => {
      for (const group of tried) await allOf(group, act)
    }
    const but = without.length === 0 ? '' : `; not on ${without.join(', ')}`
    await this.#measure(step, all, () => `on ${names.join(', ')} (copies)${but}`)
  }

  /** A connector may insist on the fence for a step; then it is left out for that move, and that is said. */
  async #each(step: StepName, act: (p: CutoverParticipant) => Promise<unknown>, note: string): Promise<void> {
    const without: string[] = []
    const { participants } = this.#options
    const all = () =>
      allOf(participants, async (participant) => {
        if (!(await unlessFenced(() => act(participant)))) without.push(participant.name)
      })
    await this.#measure(step, all, () => `${note}${exceptFor(without)}`)
  }

  async #measure(step: StepName, act: () => Promise<unknown>, note: () => string): Promise<void> {
    const { clock } = this.#options
    const startedAt = clock.now()
    await act()
    await this.#add({ step, ms: clock.now() - startedAt, note: note() })
  }

  #skip(step: StepName, why: string): Promise<void> {
    return this.#add({ step, ms: null, note: `not exercised: ${why}` })
  }

  async #add(step: RehearsedStep): Promise<void> {
    this.steps.push(step)
    await this.#options.report(step)
  }
}

/** Whether it could be done; false where the connector insists on a fence that does not stand. */
async function unlessFenced(act: () => Promise<unknown>): Promise<boolean> {
  try {
    await act()
    return true
  } catch (thrown) {
    const { code } = toReplatformError(thrown)
    if (code === 'fence.not-held' || code.endsWith('.fence-lifted')) return false
    throw thrown
  }
}

function exceptFor(names: readonly string[]): string {
  return names.length === 0 ? '' : `; not for ${names.join(', ')}, where it needs the fence`
}
