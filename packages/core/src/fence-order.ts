/**
 * Which order to a fence counts, in whatever order they arrive.
 *
 *   1. a cutover is aborted, and the mover that is to open the source falls asleep with its machine
 *   2. another worker opens the source in its place
 *   3. the next cutover fences the source, and decides
 *   4. the first mover wakes up and begins to open the source, beside the target that takes payments now
 *
 * So every cutover has a *turn*, a number that grows, and a side remembers the newest order that it has seen.
 */
import { ReplatformError } from './errors.ts'

export interface FenceOrder {
  readonly verb: 'fence' | 'unfence'
  /** Of the cutover that it belongs to. Preparing, which fences a target before any cutover, has none: 0. */
  readonly turn: number
}

/** Of one fencing: how long it may take, and for which cutover it is. */
export interface FenceLimits {
  readonly withinMs: number
  readonly turn: number
}

/** What a side remembers of the newest order. In one turn a side is fenced first, and opened afterwards. */
export function rankOf({ verb, turn }: FenceOrder): number {
  return 2 * turn + (verb === 'unfence' ? 1 : 0)
}

/** What a side remembers once this order has been there too. */
export function rankAfter(order: FenceOrder, seen: number | null): number {
  return Math.max(rankOf(order), seen ?? 0)
}

/** The turn that is next after `last`, and newer than those that another control database gave out, which was lost. */
export function nextTurn(last: number, wallTimeMs: number): number {
  return Math.max(last + 1, Math.floor(wallTimeMs / 1_000))
}

/**
 * Whether the order is to be carried out; false where a later turn has opened the side already and nothing is left to do.
 * Throws `fence.superseded` where the side was turned since, and what was asked would undo that. `where`: see `lateOrder`.
 */
export function isOrderDue(order: FenceOrder, seen: number | null, where: string): boolean {
  if (seen === null || rankOf(order) >= seen) return true
  const isOpen = seen % 2 === 1
  if (order.verb === 'unfence' && isOpen) return false
  if (order.verb === 'fence' && order.turn === 0 && !isOpen) return true
  throw lateOrder(order, where)
}

/** `where` names the side: `the source cache:6379`. */
export function lateOrder({ verb, turn }: FenceOrder, where: string): ReplatformError {
  const what = verb === 'fence' ? 'fencing' : 'opening'
  return new ReplatformError('fence.superseded', {
    message: `The ${what} of ${where} in turn ${turn} came too late: a later turn has been there.`,
  })
}
