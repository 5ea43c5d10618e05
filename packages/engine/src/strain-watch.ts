/** Holds a run back while the source, or what replicates from the target, has more to do than the operator allows. */
import type { Mover, Strain } from '@replatform/core/connector'
import type { Clock } from './clock.ts'
import type { Throttle } from './throttle.ts'

/** What the operator allows; null is no limit. */
export interface Limits {
  /** That load and follow together may write; 0 stands still. */
  readonly bytesPerSecond: number | null
  /** Of others, at work on the source at once. Past it the full load waits; following goes on, it costs the source little. */
  readonly sourceSessions: number | null
  /** How far replicas of the target may lag. Past it load and follow wait. */
  readonly replicaLagMs: number | null
}

export const noLimits: Limits = { bytesPerSecond: null, sourceSessions: null, replicaLagMs: null }

export interface StrainWatchOptions {
  readonly mover: Pick<Mover, 'strain'>
  /** Asked anew each time: an operator may change them meanwhile. */
  readonly limits: () => Limits
  readonly throttle: Throttle
  readonly stage: 'load' | 'follow'
  /** Told when it changes; null: nothing holds. */
  readonly onHeld: (by: string | null) => void
  readonly clock: Clock
  readonly signal: AbortSignal
}

const lookEveryMs = 1_000
/** What was held goes on at this part of the limit, so that it does not flutter around it. */
const relief = 0.8

/**
 * Looks until the signal; then nothing is held. When a side does not answer nothing is known, and nothing changes: what
 * reads and writes there finds out by itself.
 */
export async function watchStrain(options: StrainWatchOptions): Promise<void> {
  const { mover, limits, throttle, onHeld, clock, signal } = options
  let heldBy: string | null = null
  while (!signal.aborted) {
    const allowed = limits()
    const isLimited = allowed.sourceSessions !== null || allowed.replicaLagMs !== null
    const strain = isLimited ? await mover.strain().catch(() => undefined) : null
    if (signal.aborted) break
    if (strain !== undefined) {
      const now = reasonToHold(strain, allowed, { isHeld: heldBy !== null, stage: options.stage })
      throttle.hold(now !== null)
      if (now !== heldBy) onHeld(now)
      heldBy = now
    }
    await clock.sleep(lookEveryMs, signal).catch(() => {})
  }
  throttle.hold(false)
  if (heldBy !== null) onHeld(null)
}

function reasonToHold(
  strain: Strain | null,
  { sourceSessions, replicaLagMs }: Limits,
  { isHeld, stage }: { readonly isHeld: boolean; readonly stage: 'load' | 'follow' },
): string | null {
  if (!strain) return null
  const isPast = (value: number | null, limit: number | null) =>
    value !== null && limit !== null && value > (isHeld ? limit * relief : limit)
  if (stage === 'load' && isPast(strain.sourceSessions, sourceSessions)) {
    return `${strain.sourceSessions} sessions are at work on the source; ${sourceSessions} are allowed`
  }
  if (isPast(strain.replicaLagMs, replicaLagMs)) {
    return `a replica of the target is ${Math.round((strain.replicaLagMs ?? 0) / 1_000)} s behind; ${(replicaLagMs ?? 0) / 1_000} s are allowed`
  }
  return null
}
