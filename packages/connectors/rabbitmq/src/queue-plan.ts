/** What the bridge needs to know of every queue, whatever the target is: the part of a plan that all targets share. */
import type { Delivery } from './message-sink.ts'

export interface QueuePlan {
  /** On the source. */
  readonly name: string
  /** On the target, in its own notation: a queue, or `Consumer.payments.VirtualTopic.transfers`. */
  readonly target: string
  /**
   * When its messages cross. `now`: from the start on, since nobody consumes it on the source any more, or its consumers
   * are on the target already. `cutover`: its consumers stay on the source until the cutover drains it inside the pause.
   * `aged`: its messages wait on the source until their time is over (delay queues) and cross from where they then go.
   * `never`: it stays behind.
   */
  readonly carry: 'now' | 'cutover' | 'aged' | 'never'
  /** The write pause lasts until it is empty; otherwise what is left crosses after the cutover. */
  readonly inPause: boolean
  /** `kept`: one reader, in the queue's order, also after a fault; `loose`: a fault may put messages behind others. */
  readonly order: 'kept' | 'loose'
  readonly delivery: Delivery
  /** Where a stable id of its messages stands, for a consumer's inbox and for exactly-once. */
  readonly id: 'message-id' | 'none'
  /** Messages may leave it without a consumer (a time to live or a length limit), so its count proves nothing. */
  readonly lapses?: boolean
  /** Every so many-th message is copied by the receiving broker and compared with what was read; none when absent. */
  readonly tap?: number
  /** What is different on the target, a sentence each. */
  readonly consequences: readonly string[]
}

export interface TopologyPlan {
  readonly queues: readonly QueuePlan[]
  /** Whatever else the target's kind plans: exchanges, topics, users, policies. Plain data, written as YAML for people. */
  readonly topology: unknown
}
