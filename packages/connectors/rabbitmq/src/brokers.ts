/**
 * What the bridge's mover (`bridge-mover.ts`) asks of the two brokers. A route is a pair of them; each broker's package
 * implements the side that it can be. Verbs are idempotent, and mean what `Mover` says of them.
 */
import type { Decision, Remaining } from '@replatform/core/connector'
import type { Finding } from '@replatform/core/finding'
import type { Definitions } from './definitions.ts'
import type { MessageSink, SinkEvents } from './message-sink.ts'
import type { QueuePlan, TopologyPlan } from './queue-plan.ts'
import type { SourceMessage } from './source-message.ts'

/** What is to be created or altered on the target so that it is as the plan says. */
export interface TopologyChange {
  readonly action: 'create' | 'alter' | 'withhold'
  /** `queue payments`, `user notifier`, `virtual topic transfers` … */
  readonly object: string
  /** What of it, in the target's own words; no secrets. */
  readonly detail: string
}

/** Figures of one queue of the source; `null` where the broker does not tell. */
export interface QueueFacts {
  readonly name: string
  readonly ready: number
  /** Delivered to consumers and not acknowledged yet. Lags by seconds. */
  readonly unacknowledged: number
  readonly bytes: number
  readonly consumers: number
  readonly publishedPerSecond: number
  readonly deliveredPerSecond: number
  /** By applications: their connections that consume from it. */
  readonly type: 'classic' | 'quorum' | 'stream'
}

export interface ReadEvents {
  message(message: SourceMessage): void
  /** The link, the queue or the right to read it is gone: what was not acknowledged comes again. */
  failed(error: Error): void
}

/** One queue being read, in its order, by nobody else of us. */
export interface QueueReading extends AsyncDisposable {
  /** Everything up to and including that delivery tag. */
  acknowledge(deliveryTag: number): void
  /** One message goes back to the queue. */
  giveBack(deliveryTag: number): void
  /** No more is delivered until `resume`; what is under way still arrives. */
  pause(): void
  resume(): void
  /** Takes no more deliveries; resolves when none can come. Acknowledging goes on until disposal. */
  cancel(): Promise<void>
}

export interface SourceBroker extends AsyncDisposable {
  definitions(): Promise<Definitions>
  facts(): Promise<QueueFacts[]>
  assess(plan: TopologyPlan): Promise<Finding[]>
  read(options: {
    readonly queue: string
    readonly window: number
    readonly epoch: number
    readonly events: ReadEvents
  }): Promise<QueueReading>
  /** Ready messages, exact once the side is fenced and nobody reads. */
  depths(queues: readonly string[]): Promise<ReadonlyMap<string, number>>
  fence(options: { readonly withinMs: number }): Promise<void>
  unfence(): Promise<void>
  /** Throws `cutover.not-fenced` unless nobody but the mover is connected or could publish. */
  requireFenced(): Promise<void>
  /** Ends connections of earlier movers of this flow. */
  endReaders(options: { readonly before: number }): Promise<void>
  cleanUp(): Promise<void>
}

export interface TargetBroker extends AsyncDisposable {
  /** Pure: what becomes of the definitions on this target, with the consequence of each translation. */
  plan(definitions: Definitions): TopologyPlan
  /** Reads a plan that a person edited. Throws `rabbitmq.plan-invalid`. */
  parsePlan(text: string, definitions: Definitions): TopologyPlan
  assess(plan: TopologyPlan, definitions: Definitions): Promise<Finding[]>
  /** What `apply` would do now; empty when the target is as planned. */
  diff(plan: TopologyPlan, definitions: Definitions): Promise<TopologyChange[]>
  /** Leaves what is there and fits; refuses what is there and differs. The target is fenced afterwards. */
  apply(plan: TopologyPlan, definitions: Definitions): Promise<void>
  openSink(options: {
    readonly queue: QueuePlan
    readonly epoch: number
    readonly events: SinkEvents
  }): Promise<MessageSink>
  /** Higher than every epoch before it. From its return on no sink of an earlier epoch gets a confirmation. */
  raiseEpoch(): Promise<number>
  fence(options: { readonly withinMs: number }): Promise<void>
  unfence(): Promise<void>
  depths(queues: readonly string[]): Promise<ReadonlyMap<string, number>>
  recordDecision(decision: Decision): Promise<void>
  cleanUp(): Promise<void>
}

export type MessagesRemaining = Remaining & { readonly unit: 'messages' }
