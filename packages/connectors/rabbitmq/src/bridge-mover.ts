/** The contract's verbs for a bridge between two brokers, whatever the new one is. */
import { readFile, stat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type {
  Barrier,
  Chunk,
  CompareOptions,
  Decision,
  FollowOptions,
  Loaded,
  LoadGroup,
  Mover,
  OpenOptions,
  Remaining,
} from '@replatform/core/connector'
import type { CompareReport } from '@replatform/core/difference'
import { invariant, ReplatformError } from '@replatform/core/errors'
import type { FenceLimits } from '@replatform/core/fence-order'
import type { Finding } from '@replatform/core/finding'
import type { Side } from '@replatform/core/move'
import { position } from '@replatform/core/position'
import { compareBrokers, DrainWatch } from './bridge-compare.ts'
import { BridgeRun } from './bridge-run.ts'
import type { Broker, TapResult, TopologyTranslation } from './brokers.ts'
import { type Circumstances, holdsUpPause, wayOf } from './crossing.ts'
import { readPlanText } from './plan-text.ts'
import type { QueuePlan, TopologyPlan } from './queue-plan.ts'
import type { RabbitmqBroker } from './rabbitmq-broker.ts'

export interface BridgeMoverOptions {
  readonly open: OpenOptions
  /** Whichever way the flow goes: the broker that the estate calls the source of the store. */
  readonly old: RabbitmqBroker
  readonly next: Broker
  readonly translation: TopologyTranslation
  /** Findings about the old broker that no plan tells. */
  readonly assessOld: () => Promise<Finding[]>
}

const lookEveryMs = 250
/** Copies arrive within milliseconds; those whose message lapsed never do. */
const tapWithinMs = 500
const planParameter = 'plan'

export class BridgeMover implements Mover {
  readonly #options: BridgeMoverOptions
  #run: BridgeRun | null = null
  #drain: DrainWatch | null = null
  /** Of the last run, whose epoch may be over by now. */
  #tapped: ReadonlyMap<string, TapResult> = new Map()

  constructor(options: BridgeMoverOptions) {
    this.#options = options
  }

  async assess(): Promise<Finding[]> {
    const { old, translation, assessOld } = this.#options
    const [definitions, facts] = [await old.definitions(), await old.facts()]
    const plan = await this.#plan()
    return [...(await assessOld()), ...(await translation.assess({ plan, definitions, facts }))]
  }

  /** What would be done with the source as it is now, whatever plan is in use: for people to edit. Changes nothing. */
  async proposeTopology(): Promise<TopologyPlan> {
    const { old, translation } = this.#options
    return translation.plan(await old.definitions(), await old.facts())
  }

  /** What a person must configure on the new broker for the plan in use; null where nothing. Changes nothing. */
  async configuration(): Promise<string | null> {
    return this.#options.translation.configuration(await this.#plan())
  }

  /** The way back needs nothing ahead: its bridges open when they have something to carry. */
  async prepare({ load }: { readonly load: boolean }): Promise<void> {
    if (!load) return
    const { old, translation } = this.#options
    const plan = await this.#plan()
    await translation.apply(plan, await old.definitions())
    await old.parameters.write(planParameter, plan)
  }

  async groups(): Promise<LoadGroup[]> {
    return []
  }

  async *chunks(): AsyncIterable<Chunk> {}

  async load(): Promise<Loaded> {
    return { rows: 0, bytes: 0 }
  }

  async finishLoad(): Promise<void> {}

  async follow({ signal, report, throttle }: FollowOptions): Promise<void> {
    if (this.#run) throw new ReplatformError('usage', { message: 'The mover follows already.' })
    const { old, next, open } = this.#options
    const failure = Promise.withResolvers<never>()
    failure.promise.catch(() => {})
    const epoch = await this.#raise()
    const { direction, log } = open
    const run = new BridgeRun({ old, next, direction, epoch, failed: failure.reject, log })
    this.#run = run
    try {
      await run.begin()
      await Promise.race([failure.promise, this.#lookAfter(run, { signal, report, throttle })])
      await Promise.race([failure.promise, run.close()])
      this.#tapped = await this.#flow.target.tapped({ withinMs: tapWithinMs })
    } catch (thrown) {
      await run.abandon()
      throw thrown
    } finally {
      this.#run = null
    }
  }

  async strain(): Promise<null> {
    return null
  }

  async raiseEpoch(): Promise<void> {
    await this.#raise()
  }

  async fence(side: Side, limits: FenceLimits): Promise<void> {
    if (side === 'source') {
      await this.#makeAnew()
      this.#drain = await DrainWatch.begin(await this.#plan(), this.#flow)
    }
    await this.#flow[side].fence(limits)
  }

  async unfence(side: Side, turn: Pick<FenceLimits, 'turn'>): Promise<void> {
    if (side === 'source') this.#drain = null
    await this.#flow[side].unfence(turn)
  }

  async barrier(): Promise<Barrier> {
    await this.#flow.source.requireFenced()
    const depths = await this.#flow.source.depths(this.#addresses(await this.#plan(), 'source'))
    const count = [...depths.values()].reduce((sum, depth) => sum + depth, this.#run?.underWay ?? 0)
    return { position: position(`messages:${count}`), at: new Date().toISOString() }
  }

  /**
   * The messages of the queues that hold up the pause, which nobody adds to any more. What was on its way to us when
   * the queue said that it was empty counts as well: so reading ends first, and the queue is asked again.
   */
  async remaining(_barrier: Barrier): Promise<Remaining> {
    const plan = await this.#plan()
    const count = await this.#left(plan)
    if (count > 0 || !this.#run) return { count, unit: 'messages', exact: true }
    await this.#run.finish(plan.queues.filter(holdsUpPause).map(({ name }) => name))
    return { count: await this.#left(plan), unit: 'messages', exact: true }
  }

  async compare({ scope, at }: CompareOptions): Promise<CompareReport> {
    const { open, translation } = this.#options
    const plan = await this.#plan()
    const changes = open.direction === 'forward' ? await translation.diff(plan) : []
    const tapped = this.#run ? await this.#flow.target.tapped({ withinMs: tapWithinMs }) : this.#tapped
    return compareBrokers({ scope, at, plan, changes, drain: this.#drain, tapped, flow: this.#flow })
  }

  async settleAhead(): Promise<void> {}

  async settle(): Promise<void> {
    await this.#flow.source.requireFenced()
    await this.#makeAnew()
  }

  async markStart(): Promise<void> {}

  recordDecision(decision: Decision): Promise<void> {
    return this.#flow.target.recordDecision(decision)
  }

  async cleanUp(scope: 'stream' | 'everything'): Promise<void> {
    if (scope === 'stream') return
    await this.#requireNothingLeft()
    await this.#options.old.cleanUp()
    await this.#options.next.cleanUp()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#run?.abandon()
    await this.#options.old[Symbol.asyncDispose]()
    await this.#options.next[Symbol.asyncDispose]()
  }

  get #flow() {
    const { old, next, open } = this.#options
    const isForward = open.direction === 'forward'
    const addressOf = (queue: QueuePlan, side: Side) => ((side === 'source') === isForward ? queue.name : queue.target)
    const [source, target]: [Broker, Broker] = isForward ? [old, next] : [next, old]
    return { source, target, addressOf }
  }

  /** What lapsed on the target while nobody used it. */
  async #makeAnew(): Promise<void> {
    const { open, old, translation } = this.#options
    if (open.direction === 'reverse') return
    const plan = await this.#plan()
    const changes = await translation.diff(plan)
    if (changes.some(({ action }) => action === 'create')) await translation.apply(plan, await old.definitions())
  }

  async #lookAfter(run: BridgeRun, { signal, report, throttle }: FollowOptions): Promise<void> {
    const { translation } = this.#options
    const meter = new Meter(run.carried)
    let file = await this.#planFileTime()
    let plan = await this.#plan()
    while (!signal.aborted) {
      await this.#throttled(run, throttle)
      const circumstances = await this.#circumstances()
      const changed = await this.#planFileTime()
      if (changed !== file) {
        file = changed
        plan = await this.#changedPlan(plan)
        if (!circumstances.isDraining && circumstances.direction === 'forward') await translation.admit(plan)
      }
      await run.adjust(plan.queues, circumstances)
      const { carried, bytes, underWay, waiting } = run
      const backlogMs = waiting > underWay ? meter.timeFor(waiting, carried) : 0
      report({
        position: position(`messages:${carried}`),
        lagMs: Math.max(run.lagMs, backlogMs),
        lagBytes: waiting + underWay,
        transactions: 0,
        rows: meter.since(carried),
        bytes,
      })
      await sleep(lookEveryMs, undefined, { signal }).catch(() => {})
    }
  }

  /** A limit of bytes per second: nothing is read while it makes us wait. */
  async #throttled(run: BridgeRun, throttle: () => Promise<void>): Promise<void> {
    const allowed = throttle()
    const isWaiting = await Promise.race([allowed.then(() => false), sleep(1, true)])
    if (!isWaiting) return
    run.halt(true)
    await allowed
    run.halt(false)
  }

  async #circumstances(): Promise<Circumstances> {
    const { direction } = this.#options.open
    const isDraining = await this.#flow.source.isFenced()
    return { direction, isDraining, isRolledBack: direction === 'forward' && (await this.#isRolledBack()) }
  }

  /** A decision stands on the old broker only when a rollback was committed there. */
  async #isRolledBack(): Promise<boolean> {
    const names = await this.#options.old.parameters.names()
    return names.some((name) => name.startsWith('decision.'))
  }

  async #left(plan: TopologyPlan): Promise<number> {
    const held = plan.queues.filter(holdsUpPause)
    const depths = await this.#flow.source.depths(this.#addresses({ ...plan, queues: held }, 'source'))
    return [...depths.values()].reduce((sum, depth) => sum + depth, this.#run?.underWay ?? 0)
  }

  #addresses(plan: TopologyPlan, side: Side): string[] {
    const isOld = (side === 'source') === (this.#options.open.direction === 'forward')
    return plan.queues.filter(({ carry }) => carry !== 'never').map((queue) => (isOld ? queue.name : queue.target))
  }

  async #raise(): Promise<number> {
    const { old, next } = this.#options
    const epoch = Math.max(await old.readEpoch(), await next.readEpoch()) + 1
    await next.takeEpoch(epoch)
    await old.takeEpoch(epoch)
    return epoch
  }

  /** The file where the estate names one; what was applied where it does not; before that, what would be. */
  async #plan(): Promise<TopologyPlan> {
    const { open, old, translation } = this.#options
    if (open.topology !== undefined) return this.#planOfFile(open.topology)
    const applied = await old.parameters.read<unknown>(planParameter)
    if (applied) return translation.parse(applied)
    return translation.plan(await old.definitions(), await old.facts())
  }

  async #planOfFile(file: string): Promise<TopologyPlan> {
    const text = await readFile(file, 'utf8').catch((cause) => {
      throw new ReplatformError('topology.invalid', { message: `${file} cannot be read.`, cause })
    })
    const { value, placeOf } = readPlanText(text, file)
    return this.#options.translation.parse(value, placeOf)
  }

  /** What a person saved half-way must not stop what flows. */
  async #changedPlan(before: TopologyPlan): Promise<TopologyPlan> {
    const { open } = this.#options
    try {
      return await this.#plan()
    } catch (thrown) {
      open.log.error({ move: open.move, reason: (thrown as Error).message }, 'The edited plan is not in use.')
      return before
    }
  }

  async #planFileTime(): Promise<number> {
    const { topology } = this.#options.open
    if (topology === undefined) return 0
    return (await stat(topology).catch(() => null))?.mtimeMs ?? 0
  }

  /** Messages on the side that is not in use would be forgotten together with the move. */
  async #requireNothingLeft(): Promise<void> {
    const { old, next } = this.#options
    const plan = await this.#plan()
    const isCommitted = (await old.isFenced()) && !(await next.isFenced())
    const circumstances = {
      direction: isCommitted ? 'reverse' : 'forward',
      isDraining: false,
      isRolledBack: true,
    } as const
    const queues = plan.queues.filter((queue) => wayOf(queue, circumstances) !== null || queue.carry === 'aged')
    const side = isCommitted ? old : next
    const depths = await side.depths(queues.map((queue) => (isCommitted ? queue.name : queue.target)))
    const left = [...depths].filter(([, depth]) => depth > 0).map(([name, depth]) => `${name}: ${depth}`)
    if (left.length === 0) return
    throw new ReplatformError('rabbitmq.left-behind', {
      message: `Messages are left on the ${isCommitted ? 'old' : 'new'} broker: ${left.slice(0, 10).join(', ')}.`,
    })
  }
}

/** How fast it goes, from looks a quarter of a second apart. */
class Meter {
  readonly #first: number
  readonly #looks: { readonly at: number; readonly carried: number }[] = []

  constructor(carried: number) {
    this.#first = carried
  }

  since(carried: number): number {
    return carried - this.#first
  }

  /** Milliseconds until so many are carried at the rate of the last seconds. */
  timeFor(waiting: number, carried: number): number {
    const at = performance.now()
    this.#looks.push({ at, carried })
    if (this.#looks.length > 12) this.#looks.shift()
    const first = this.#looks[0]
    invariant(first, 'A look was just taken.')
    const perMs = (carried - first.carried) / Math.max(at - first.at, 1)
    return perMs > 0 ? waiting / perMs : 60_000
  }
}
