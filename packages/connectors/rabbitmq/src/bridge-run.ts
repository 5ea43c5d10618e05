/** The bridges of one mover: opens one for every queue that has something to carry, and closes it when it has not. */
import type { Log } from '@replatform/core/connector'
import type { Direction } from '@replatform/core/move'
import type { Broker, Ledger, LedgerEntry, SourceRun } from './brokers.ts'
import { type Circumstances, type Way, wayOf } from './crossing.ts'
import { QueueBridge } from './queue-bridge.ts'
import type { QueuePlan } from './queue-plan.ts'

export interface BridgeRunOptions {
  readonly old: Broker
  readonly next: Broker
  readonly direction: Direction
  readonly epoch: number
  readonly failed: (error: Error) => void
  readonly log?: Log
}

/** A bridge without work is closed after so long: a connection for each of hundreds of queues would be too many. */
const idleMsMost = 3_000
const finishWithinMs = 10_000
/** In a pause every queue wants its bridge at once. */
const openedAtOnce = 16

export interface Carried {
  readonly messages: number
  readonly bytes: number
}

export class BridgeRun {
  readonly #options: BridgeRunOptions
  readonly #bridges = new Map<string, { readonly way: Way; readonly bridge: QueueBridge }>()
  readonly #ledgers = new Map<Way, Promise<Ledger>>()
  readonly #entries = new Map<string, LedgerEntry>()
  readonly #runs = new Map<Broker, Promise<SourceRun>>()
  #last: Promise<unknown> = Promise.resolve()
  #closedBytes = 0
  #waiting = 0

  constructor(options: BridgeRunOptions) {
    this.#options = options
  }

  /** Read by us and not acknowledged yet. */
  get underWay(): number {
    return this.#sum(({ bridge }) => bridge.underWay)
  }

  /** On a side that is not their queue's home, as of the last look. */
  get waiting(): number {
    return this.#waiting
  }

  get lagMs(): number {
    return Math.max(0, ...[...this.#bridges.values()].map(({ bridge }) => bridge.lagMs))
  }

  get bytes(): number {
    return this.#closedBytes + this.#sum(({ bridge }) => bridge.bytes)
  }

  /** By queue, both ways together, from the beginning of the move on. */
  get carried(): number {
    const open = new Set([...this.#bridges].map(([name, { way }]) => `${way} ${name}`))
    const closed = [...this.#entries].filter(([key]) => !open.has(key)).map(([, entry]) => entry.carried)
    return this.#sum(({ bridge }) => bridge.carried) + closed.reduce((sum, one) => sum + one, 0)
  }

  halt(isHalted: boolean): void {
    for (const { bridge } of this.#bridges.values()) bridge.halt(isHalted)
  }

  /** Reads what earlier movers have written. */
  async begin(): Promise<void> {
    for (const way of ['to-new', 'to-old'] as const) {
      const entries = await this.#to(way).readLedger()
      for (const entry of entries) this.#entries.set(`${way} ${entry.queue}`, entry)
    }
  }

  /** Opens and closes bridges so that they fit the plan and the circumstances. */
  adjust(plans: readonly QueuePlan[], circumstances: Circumstances): Promise<void> {
    return this.#alone(async () => {
      const wanted = new Map(plans.map((plan) => [plan.name, { plan, way: wayOf(plan, circumstances) }]))
      for (const [name, { way }] of [...this.#bridges]) {
        if (wanted.get(name)?.way !== way) await this.#close(name)
      }
      const depths = await this.#depths([...wanted.values()])
      this.#waiting = [...depths.values()].reduce((sum, depth) => sum + depth, 0)
      const toOpen: (() => Promise<void>)[] = []
      for (const [name, { plan, way }] of wanted) {
        const open = this.#bridges.get(name)
        const isEager = plan.carry === 'now' && way === 'to-new'
        if (way && !open && (isEager || (depths.get(name) ?? 0) > 0))
          toOpen.push(() => this.#open(plan, way, depths.get(name) ?? 0))
        else if (open && !isEager && open.bridge.underWay === 0 && open.bridge.idleMs > idleMsMost)
          await this.#close(name)
      }
      for (let at = 0; at < toOpen.length; at += openedAtOnce) {
        // None may still be opening when the first failure ends the run.
        const opened = await Promise.allSettled(toOpen.slice(at, at + openedAtOnce).map((open) => open()))
        const failed = opened.find(({ status }) => status === 'rejected')
        if (failed?.status === 'rejected') throw failed.reason
      }
    })
  }

  /** Takes what is on its way to its end and reads no more of these queues until they are adjusted again. */
  finish(names: readonly string[]): Promise<void> {
    return this.#alone(async () => {
      await Promise.all(names.map((name) => this.#close(name)))
    })
  }

  close(): Promise<void> {
    return this.#alone(async () => {
      await Promise.all([...this.#bridges.keys()].map((name) => this.#close(name)))
      for (const ledger of this.#ledgers.values()) await (await ledger).close()
      this.#ledgers.clear()
    })
  }

  /** Without taking anything to its end: what was not acknowledged comes again. */
  async abandon(): Promise<void> {
    for (const { bridge } of this.#bridges.values()) await bridge.close().catch(() => {})
    this.#bridges.clear()
    for (const ledger of this.#ledgers.values()) await ledger.then((one) => one.close()).catch(() => {})
  }

  async #open(plan: QueuePlan, way: Way, ready: number): Promise<void> {
    const { old, next, epoch, failed, log } = this.#options
    const places = {
      old: { broker: old, address: plan.name },
      next: { broker: next, address: plan.target },
    }
    const [from, to] = way === 'to-new' ? [places.old, places.next] : [places.next, places.old]
    const before = this.#entries.get(`${way} ${plan.name}`) ?? { carried: 0, perhapsRepeated: 0 }
    const ledger = await this.#ledger(way)
    const run = await this.#runOf(from.broker)
    const bridge = await QueueBridge.open({ plan, from, to, ledger, epoch, before, run, ready, failed })
    if (bridge.inDoubt > 0) {
      log?.warn(
        { queue: plan.name, mayRepeat: bridge.inDoubt },
        'The source has begun anew since it was last read; up to so many of its next messages may repeat some.',
      )
    }
    this.#bridges.set(plan.name, { way, bridge })
  }

  async #close(name: string): Promise<void> {
    const open = this.#bridges.get(name)
    if (!open) return
    const { way, bridge } = open
    await bridge.finish({ withinMs: finishWithinMs })
    this.#bridges.delete(name)
    this.#closedBytes += bridge.bytes
    if (bridge.entry) this.#entries.set(`${way} ${name}`, bridge.entry)
  }

  async #depths(wanted: readonly { plan: QueuePlan; way: Way | null }[]): Promise<Map<string, number>> {
    const depths = new Map<string, number>()
    for (const way of ['to-new', 'to-old'] as const) {
      const plans = wanted.filter((one) => one.way === way).map(({ plan }) => plan)
      const from = way === 'to-new' ? this.#options.old : this.#options.next
      const addressOf = (plan: QueuePlan) => (way === 'to-new' ? plan.name : plan.target)
      const found = await from.depths(plans.map(addressOf))
      for (const plan of plans) depths.set(plan.name, found.get(addressOf(plan)) ?? 0)
    }
    return depths
  }

  /** The same while this run lives: a source that begins anew ends it. */
  #runOf(broker: Broker): Promise<SourceRun> {
    const run = this.#runs.get(broker) ?? broker.run()
    this.#runs.set(broker, run)
    return run
  }

  #ledger(way: Way): Promise<Ledger> {
    const open = this.#ledgers.get(way) ?? this.#to(way).openLedger()
    this.#ledgers.set(way, open)
    return open
  }

  #to(way: Way): Broker {
    return way === 'to-new' ? this.#options.next : this.#options.old
  }

  #sum(figure: (one: { readonly bridge: QueueBridge }) => number): number {
    return [...this.#bridges.values()].reduce((sum, one) => sum + figure(one), 0)
  }

  /** One after the other: a bridge must not be opened while it is being closed. */
  #alone(work: () => Promise<void>): Promise<void> {
    const result = this.#last.then(work)
    this.#last = result.catch(() => {})
    return result
  }
}
