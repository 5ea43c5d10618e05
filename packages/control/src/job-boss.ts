/**
 * What `Jobs` needs of pg-boss, and no more: a simulation has another one that behaves as this does. What "behaves"
 * means is in `packages/simulation/src/boss-contract.test.ts`, which both pass.
 */

export interface QueueOptions {
  readonly notify: boolean
  readonly expireInSeconds: number
  readonly retryLimit: number
  /** Seconds until what failed comes again. */
  readonly retryDelay: number
  readonly retryBackoff?: boolean
  readonly retryDelayMax?: number
  /** At most one job of a key is queued or active. */
  readonly policy?: 'exclusive'
  /** A job whose claim is not renewed for so long is given to another. */
  readonly heartbeatSeconds?: number
}

/** A job as whoever claimed it sees it. */
export interface ClaimedJob<Data> {
  readonly id: string
  readonly data: Data
  /** Names the attempt: what is done by an earlier claim does not touch a later one. */
  readonly retryCount: number
  /** Aborted when the claim is found to be lost. */
  readonly signal: AbortSignal
}

export interface KnownJob<Data> {
  readonly id: string
  readonly data: Data
  readonly state: 'created' | 'retry' | 'active' | 'completed' | 'cancelled' | 'failed'
}

export interface WorkOptions {
  readonly localConcurrency: number
  /** How often jobs that nobody announces are looked for. */
  readonly notifyPollingIntervalSeconds?: number
}

export interface JobBoss {
  createQueue(name: string, options: QueueOptions): Promise<void>
  /** Does nothing where the id exists, in whatever state, or where the policy has no room for it. */
  send(
    name: string,
    data: object,
    options?: { readonly id?: string; readonly singletonKey?: string },
  ): Promise<string | null>
  /** In the order in which they were sent, also those that have ended. */
  findJobs<Data>(name: string): Promise<KnownJob<Data>[]>
  /** With a retry count: only while that claim holds. */
  deleteJob(name: string, job: string | { readonly id: string; readonly retryCount: number }): Promise<unknown>
  /** What the handler throws makes the job come again; a job that was deleted meanwhile does not. */
  work<Data>(name: string, options: WorkOptions, handler: (jobs: ClaimedJob<Data>[]) => Promise<void>): Promise<string>
  /** With `wait` it returns when no handler of the queue runs here any more. */
  offWork(name: string, options: { readonly wait: boolean }): Promise<void>
  stop(options: { readonly graceful: boolean; readonly timeout: number }): Promise<void>
}
