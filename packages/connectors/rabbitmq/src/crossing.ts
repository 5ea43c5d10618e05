/** Which way the messages of a queue go. Pure. */
import type { Direction } from '@replatform/core/move'
import type { QueuePlan } from './queue-plan.ts'

/** From the old broker to the new one, or home again. */
export type Way = 'to-new' | 'to-old'

export interface Circumstances {
  readonly direction: Direction
  /** The source of the flow is fenced: it is being drained for a cutover or a rollback. */
  readonly isDraining: boolean
  /** The old broker is in use again after a rollback. */
  readonly isRolledBack: boolean
}

/**
 * Every queue has one home: the broker where its consumers are. The bridge carries what lies on the other broker to it,
 * and never takes a message from where somebody consumes. Null: both sides keep what they have.
 */
export function wayOf({ carry }: QueuePlan, { direction, isDraining, isRolledBack }: Circumstances): Way | null {
  if (carry === 'never' || carry === 'aged') return null
  if (direction === 'reverse') return isDraining ? 'to-old' : 'to-new'
  if (isDraining) return 'to-new'
  return carry === 'now' && !isRolledBack ? 'to-new' : 'to-old'
}

/** Whether the cutover waits until this queue is empty on the side that is drained. */
export function holdsUpPause({ carry, inPause }: QueuePlan): boolean {
  return inPause && (carry === 'now' || carry === 'cutover')
}
