/**
 * What the bridge's mover (`bridge-mover.ts`) asks of the two brokers. A route is a pair of them; each broker's package
 * implements it once, for both sides of a flow: the way back reads the new broker and writes the old one. Verbs are
 * idempotent, and mean what `Mover` says of them.
 */
import type { Decision } from '@replatform/core/connector'
import type { FenceLimits } from '@replatform/core/fence-order'
import type { Finding } from '@replatform/core/finding'
import type { Definitions } from './definitions.ts'
import type { MessageSink, SinkEvents } from './message-sink.ts'
import type { PlaceInFile } from './plan-text.ts'
import type { QueuePlan, TopologyPlan } from './queue-plan.ts'
import type { SourceMessage } from './source-message.ts'

/** Figures of one queue. */
export interface QueueFacts {
  readonly name: string
  readonly type: 'classic' | 'quorum' | 'stream'
  readonly ready: number
  /** Delivered to consumers and not acknowledged yet. Lags by seconds. */
  readonly unacknowledged: number
  readonly bytes: number
  readonly consumers: number
  readonly publishedPerSecond: number
  readonly deliveredPerSecond: number
}

export interface ReadEvents {
  message(message: SourceMessage): void
  /** The link, the queue or the right to read it is gone: what was not acknowledged comes again. */
  failed(error: Error): void
}

/** One queue being read, in its order, by nobody else of us. */
export interface QueueReading {
  /** Everything up to and including that delivery tag. */
  acknowledge(deliveryTag: number): void
  /** One message goes back to the queue. */
  giveBack(deliveryTag: number): void
  /** No more is delivered until `resume`; what is under way still arrives. */
  pause(): void
  resume(): void
  /** Takes no more deliveries; resolves when none can come. Acknowledging goes on until `close`. */
  cancel(): Promise<void>
  /** What was not acknowledged is in the queue again when it resolves. */
  close(): Promise<void>
}

export interface ReadOptions {
  readonly queue: string
  /** Messages that are under way and not acknowledged, at most. */
  readonly window: number
  readonly events: ReadEvents
}

/** When each node of a broker began to run, in seconds since 1970; a node may be named by its run. */
export type SourceRun = Readonly<Record<string, number>>

/** The side that is read. */
export interface SourceBroker {
  /** Changes when the broker begins anew, so that it may have forgotten what it delivered last. */
  run(): Promise<SourceRun>
  facts(): Promise<QueueFacts[]>
  read(options: ReadOptions): Promise<QueueReading>
  /** Ready messages at this moment, by queue; exact once nobody reads. */
  depths(queues: readonly string[]): Promise<ReadonlyMap<string, number>>
}

/** One line of the bridge's ledger. Sums count from the beginning of the move on. */
export interface LedgerEntry {
  /** As the plan calls it. */
  readonly queue: string
  readonly epoch: number
  /** Read, confirmed by the other side, and then acknowledged. */
  readonly carried: number
  /** Of these: may have crossed before, and no marker told (`repeats.ts`). */
  readonly perhapsRepeated: number
  /** Of these: have a time to live of their own, so that they may be gone without a consumer. */
  readonly mayLapse?: number
  /** Digest over the messages of this epoch in their order, in hexadecimal. */
  readonly chain: string
  /** Of the source, while these were read. */
  readonly run?: SourceRun
  /** Acknowledged in the last moments before this entry: a source that is killed may bring them again. */
  readonly recent?: number
  /** Deliveries after these that may repeat some, though the source did not say so; 0 where absent. */
  readonly inDoubt?: number
}

/** Kept on the broker that the messages go to. */
export interface Ledger {
  /** Resolves when it is durable. */
  append(entry: LedgerEntry): Promise<void>
  close(): Promise<void>
}

/** What copies of messages, made by the receiving broker, came to. */
export interface TapResult {
  readonly compared: number
  readonly mismatched: number
}

/** The side that is written. */
export interface TargetBroker {
  openSink(options: {
    readonly queue: QueuePlan
    /** Where the messages go on this broker. */
    readonly address: string
    readonly events: SinkEvents
  }): Promise<MessageSink>
  openLedger(): Promise<Ledger>
  /** The last entry of every queue. */
  readLedger(): Promise<LedgerEntry[]>
  /**
   * By queue as the plan calls it, since this mover took its epoch; waits for copies that are under way. Empty where the
   * plan asks for none or the broker makes none.
   */
  tapped(options: { readonly withinMs: number }): Promise<ReadonlyMap<string, TapResult>>
  recordDecision(decision: Decision): Promise<void>
}

/** The fence of a broker, for whichever side of a flow it is. */
export interface FencedBroker {
  /** Nobody but the mover publishes or consumes afterwards; remembers what it took away, on the broker itself. */
  fence(limits: FenceLimits): Promise<void>
  unfence(turn: Pick<FenceLimits, 'turn'>): Promise<void>
  isFenced(): Promise<boolean>
  /** Throws `fence.not-held` when somebody got in. */
  requireFenced(): Promise<void>
}

export interface Broker extends SourceBroker, TargetBroker, FencedBroker, AsyncDisposable {
  /** The highest epoch that any mover of this move has taken here; 0 before the first. */
  readEpoch(): Promise<number>
  /**
   * From its return on no sink of an earlier mover gets a confirmation and no reader of one a delivery. Reading, writing
   * and the ledger need it. Throws `epoch.superseded` when a higher one stands.
   */
  takeEpoch(epoch: number): Promise<void>
  /** Removes what the move left on it, except the fence. */
  cleanUp(): Promise<void>
}

/** What is to be created or altered on the target so that it is as the plan says. */
export interface TopologyChange {
  /** `differs`: it is there and cannot be altered; applying refuses. */
  readonly action: 'create' | 'alter' | 'withhold' | 'differs'
  /** `queue payments`, `user notifier`, `virtual topic transfers` … */
  readonly object: string
  /** What of it, in the target's own words; no secrets. */
  readonly detail: string
}

/** How the topology of the old broker becomes that of the new one: the part that is special to a pair of kinds. */
export interface TopologyTranslation {
  /** What becomes of the definitions, with the consequence of each translation. Changes nothing. */
  plan(definitions: Definitions, facts: readonly QueueFacts[]): Promise<TopologyPlan>
  /** Reads a plan that a person edited, as parsed YAML. Throws `topology.invalid`, which names the place in the file. */
  parse(edited: unknown, placeOf?: PlaceInFile): TopologyPlan
  assess(options: {
    readonly plan: TopologyPlan
    readonly definitions: Definitions
    readonly facts: readonly QueueFacts[]
  }): Promise<Finding[]>
  /** What a person must configure on the new broker because no protocol can; null where nothing is left to them. */
  configuration(plan: TopologyPlan): string | null
  /** What `apply` would do now; empty when the target is as planned. */
  diff(plan: TopologyPlan): Promise<TopologyChange[]>
  /** Lets in on the new side whom the plan lets in before the cutover: consumers that go first. */
  admit(plan: TopologyPlan): Promise<void>
  /** Leaves what is there and fits; refuses what is there and differs. The new side is fenced afterwards. */
  apply(plan: TopologyPlan, definitions: Definitions): Promise<void>
}
