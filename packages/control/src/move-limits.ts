import { durationMs, type EstateStore } from '@replatform/core/estate'
import { type Limits, noLimits } from '@replatform/engine/strain-watch'
import type { MoveRecord } from './move-records.ts'

/** What a move is allowed: by whoever throttled it last, or else by the estate. */
export function limitsOf(store: EstateStore | undefined, { limits }: Pick<MoveRecord, 'limits'>): Limits {
  if (limits) return limits
  const { bytesPerSecond = null, sourceSessions = null, replicaLag } = store?.limits ?? {}
  if (!store?.limits) return noLimits
  return { bytesPerSecond, sourceSessions, replicaLagMs: replicaLag === undefined ? null : durationMs(replicaLag) }
}
