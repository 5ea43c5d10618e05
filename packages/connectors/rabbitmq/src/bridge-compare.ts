/**
 * What can be compared of queues, which keep nothing that has been consumed: the topology as planned, the bridge's
 * ledger, and the count that the receiving broker itself has of what it got while nobody else could consume there.
 */
import type { CompareReport, CompareResult } from '@replatform/core/difference'
import { isEqual } from '@replatform/core/difference'
import type { Side } from '@replatform/core/move'
import { position } from '@replatform/core/position'
import type { Broker, LedgerEntry, TapResult, TopologyChange } from './brokers.ts'
import { holdsUpPause } from './crossing.ts'
import type { QueuePlan, TopologyPlan } from './queue-plan.ts'

interface Flow {
  readonly source: Broker
  readonly target: Broker
  /** A queue of the plan, as that side of the flow calls it. */
  readonly addressOf: (queue: QueuePlan, side: Side) => string
}

/** How the receiving side stood when draining began: what it holds more now must be what was carried since. */
export class DrainWatch {
  readonly #depths: ReadonlyMap<string, number>
  readonly #carried: ReadonlyMap<string, LedgerEntry>

  static async begin({ queues }: TopologyPlan, { target, addressOf }: Flow): Promise<DrainWatch> {
    const countable = queues.filter(isCountable)
    const entries = await target.readLedger()
    const depths = await target.depths(countable.map((queue) => addressOf(queue, 'target')))
    const before = countable.map((queue) => [queue.name, depths.get(addressOf(queue, 'target')) ?? 0] as const)
    return new DrainWatch(new Map(before), new Map(entries.map((entry) => [entry.queue, entry])))
  }

  private constructor(depths: ReadonlyMap<string, number>, carried: ReadonlyMap<string, LedgerEntry>) {
    this.#depths = depths
    this.#carried = carried
  }

  /** Messages that the ledger has as carried since, and that the target does not hold. */
  missing(plan: QueuePlan, now: { readonly depth: number; readonly entry: LedgerEntry | undefined }): number {
    const before = this.#depths.get(plan.name)
    if (before === undefined) return 0
    const since = (figure: (entry: LedgerEntry) => number) => {
      const earlier = this.#carried.get(plan.name)
      return (now.entry ? figure(now.entry) : 0) - (earlier ? figure(earlier) : 0)
    }
    const mayBeGone = since((entry) => entry.mayLapse ?? 0)
    return Math.max(0, before + since((entry) => entry.carried) - mayBeGone - now.depth)
  }
}

/** Nobody consumes it on the target before the cutover, and nothing lets all of its messages lapse there. */
function isCountable({ carry, lapses }: QueuePlan): boolean {
  return carry === 'cutover' && !lapses
}

export interface CompareBrokersOptions {
  readonly scope: 'all' | 'changed'
  readonly at: 'live' | 'fenced'
  readonly plan: TopologyPlan
  readonly changes: readonly TopologyChange[]
  readonly drain: DrainWatch | null
  readonly tapped: ReadonlyMap<string, TapResult>
  readonly flow: Flow
}

export async function compareBrokers(options: CompareBrokersOptions): Promise<CompareReport> {
  const { scope, at, plan, changes, flow } = options
  const startedAt = performance.now()
  const ledger = new Map((await flow.target.readLedger()).map((entry) => [entry.queue, entry]))
  const queues = plan.queues.filter(({ carry }) => carry === 'now' || carry === 'cutover')
  const results = [topologyResult(plan, changes)]
  const depths = await flow.target.depths(queues.map((queue) => flow.addressOf(queue, 'target')))
  for (const queue of queues) {
    const entry = ledger.get(queue.name)
    const depth = depths.get(flow.addressOf(queue, 'target')) ?? 0
    const lost = at === 'fenced' ? (options.drain?.missing(queue, { depth, entry }) ?? 0) : 0
    const isHeldUp = at === 'fenced' && holdsUpPause(queue)
    const left = isHeldUp ? await depthOf(flow.source, flow.addressOf(queue, 'source')) : 0
    const mismatched = options.tapped.get(queue.name)?.mismatched ?? 0
    const processed = (entry?.carried ?? 0) + left
    results.push({
      name: queue.name,
      processed,
      matching: processed - left - lost - mismatched,
      mismatched,
      missing: left + lost,
      extra: 0,
      samples: [],
      ...(entry && entry.perhapsRepeated > 0 ? { mayRepeat: entry.perhapsRepeated } : {}),
    })
  }
  const carried = [...ledger.values()].reduce((sum, entry) => sum + entry.carried, 0)
  const seconds = (performance.now() - startedAt) / 1_000
  return { scope, at: position(`messages:${carried}`), equal: results.every(isEqual), seconds, results }
}

function topologyResult(plan: TopologyPlan, changes: readonly TopologyChange[]): CompareResult {
  const missing = changes.filter(({ action }) => action === 'create').length
  const mismatched = changes.filter(({ action }) => action === 'alter' || action === 'differs').length
  const matching = plan.queues.length
  const samples = changes
    .filter(({ action }) => action !== 'withhold')
    .slice(0, 10)
    .map(({ action, object }) => ({ kind: action === 'create' ? 'missing' : 'mismatched', key: object }) as const)
  return {
    name: 'topology',
    processed: matching + missing + mismatched,
    matching,
    mismatched,
    missing,
    extra: 0,
    samples,
  }
}

async function depthOf(broker: Broker, queue: string): Promise<number> {
  return (await broker.depths([queue])).get(queue) ?? 0
}
