import type { StreamUnit } from './stream-units.ts'

/** Where what was followed goes to. */
export interface BatchSink {
  /** Batches that may be given before the first of them is durable. What they do is in their order all the same. */
  readonly mostAtOnce: number
  /**
   * Applies them in their order; resolves, with the number of commands that write, when they and the checkpoint behind
   * them are durable on the target. Rejects with `epoch.superseded` or `redis.apply-refused` and their kin.
   */
  apply(units: readonly StreamUnit[]): Promise<number>
}
