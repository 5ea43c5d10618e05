/**
 * Gives most keys their own deadline ahead of the write pause, so that the pause does not grow with their number.
 *
 * A key whose deadline lies beyond a *horizon*, which the pause will not reach, cannot lapse before the target is level
 * with a fenced source. It may be lowered while its source still renews it. What is nearer stays lifted, and so is what
 * the follower writes from then on; both are noted, and settling has only those to lower:
 *
 *   1. the checkpoint notes until when the horizon reaches
 *   2. page by page: a deadline beyond the horizon is lowered; a nearer one stays lifted, and its key is noted
 *   3. the source renews a key: the follower writes it lifted, and its key is noted
 *   4. both sides fenced and level: the noted keys are lowered
 *
 * When 4 does not come by half of the horizon all are lifted again; when this process is gone by then, the next follower
 * does it. When 4 comes later all the same, a key that lapsed too early was renewed since the last comparison, so that
 * the comparison inside the pause misses it and the cutover is aborted.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '@replatform/core/connector'
import { ReplatformError } from '@replatform/core/errors'
import { ChangedKeys } from './changed-keys.ts'
import type { Connection } from './connection.ts'
import { lowerDeadlines, lowerFarDeadlines, type SweepOptions, sweepDeadlines } from './deadline-sweep.ts'
import { readNowMs } from './server-clock.ts'
import { readKeyspace } from './server-info.ts'

/** One server of the target. */
export interface SweepPart extends SweepOptions {
  /** Keys with a checkpoint of the flow on that server. */
  readonly checkpoints: readonly string[]
  readonly holds: (key: Buffer) => boolean
}

/** Does the work on every server of the target. */
export type EachPart = (work: (part: SweepPart) => Promise<void>) => Promise<void>

/** Beyond it everything is looked at inside the pause. */
const mostNoted = 200_000
/** For steps of other moves between this one and the pause. */
const spareMs = 60_000
/** A fourth of the keys that a server lowers in a millisecond, as measured on two cores. */
const keysPerMs = 100

export class EarlyDeadlines {
  /** Keys that may be lifted; to be told of each that the follower writes. */
  readonly noted = new ChangedKeys(mostNoted)
  readonly #log: Log
  #following: AbortController | null = null
  #lifting: Promise<void> = Promise.resolve()

  constructor(log: Log) {
    this.#log = log
  }

  /** The follower must run, and be of the epoch that the parts name. `horizonMs` is computed unless given. */
  async begin(eachPart: EachPart, options: { readonly pauseMs: number; readonly horizonMs?: number }): Promise<void> {
    await this.end()
    const following = new AbortController()
    this.#following = following
    this.noted.begin()
    let shortestMs = Number.POSITIVE_INFINITY
    const startedAt = performance.now()
    await eachPart(async (part) => {
      const { target, checkpoints } = part
      const keys = [...(await readKeyspace(target)).values()].reduce((sum, count) => sum + count, 0)
      const { horizonMs = options.pauseMs + spareMs + keys / keysPerMs } = options
      shortestMs = Math.min(shortestMs, horizonMs)
      const until = Math.floor((await readNowMs(target)) + horizonMs)
      await target.command('SELECT', 0)
      for (const checkpoint of checkpoints) await target.command('HSET', checkpoint, 'ahead', until)
      await lowerFarDeadlines(part, Math.ceil(horizonMs), (db, key) => this.noted.add(db, key))
    })
    const leftMs = shortestMs / 2 - (performance.now() - startedAt)
    this.#lifting = this.#liftAfter(Math.max(leftMs, 0), eachPart, following.signal)
  }

  /** The follower ended, or the pause is there: nothing is lifted again by this process. */
  async end(): Promise<void> {
    this.#following?.abort()
    this.#following = null
    await this.#lifting
  }

  /** What the follower does not tell, because another follower begins, may be lifted. */
  forget(): void {
    this.noted.giveUp()
  }

  /** Gives every key its own deadline. Both sides are fenced and level, and nobody follows. */
  async settle(eachPart: EachPart): Promise<void> {
    await this.end()
    const noted = this.noted.list()
    await eachPart(async (part) => {
      if (!noted) return sweepDeadlines(part, 'lower')
      for (const { db, keys } of noted) await lowerDeadlines(part, db, keys.filter(part.holds))
    })
    this.forget()
  }

  async #liftAfter(ms: number, eachPart: EachPart, signal: AbortSignal): Promise<void> {
    await sleep(ms, undefined, { signal }).catch(() => {})
    while (!signal.aborted) {
      try {
        await eachPart((part) => liftAgain(part))
        this.forget()
        return
      } catch (thrown) {
        if (thrown instanceof ReplatformError && thrown.code === 'epoch.superseded') return
        this.#log.warn({ err: thrown }, 'Deadlines that were settled ahead could not be lifted again; it is tried on.')
        await sleep(1_000, undefined, { signal }).catch(() => {})
      }
    }
  }
}

/** What a checkpoint tells about the deadlines beside it; see `Checkpoint`. */
export interface DeadlineMarks {
  readonly isLowered: boolean
  readonly mayLackKeys: boolean
  readonly aheadUntilMs: number | null
}

/** Whether keys may have lapsed that the source had renewed, now or in an earlier run that was not seen to its end. */
export async function hasLapsed(target: Connection, { isLowered, mayLackKeys, aheadUntilMs }: DeadlineMarks) {
  return mayLackKeys || isLowered || (aheadUntilMs !== null && (await readNowMs(target)) > aheadUntilMs)
}

/** Idempotent; while somebody follows, or before. */
export async function liftAgain({ checkpoints, ...sweep }: Omit<SweepPart, 'holds'>): Promise<void> {
  await sweepDeadlines(sweep, 'lift')
  for (const checkpoint of checkpoints) await sweep.target.command('HDEL', checkpoint, 'ahead')
}
