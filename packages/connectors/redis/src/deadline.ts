/**
 * Deadlines while a target follows.
 *
 * A target that follows must not let a key lapse by itself: the source may have renewed it already, and the renewal,
 * when it arrives, would find nothing. A replica leaves it to its source's DEL. A target is no replica, so its keys
 * get their deadline *lifted*, far into the future, by an amount that no real deadline reaches:
 *
 *   1. source: SET code … PX 1000          target: deadline D lifted
 *   2. source: PEXPIRE code 60000          (on its way for two seconds)
 *   3. D passes                            target: still there, as lifted
 *   4.                                     target: gets the new deadline, lifted
 *
 * What did lapse on the source arrives as DEL. When both sides are fenced, all are lowered to what they are.
 */

/** Half of what a double counts exactly; a real deadline reaches it in the year 144,683. */
export const lift = 2 ** 52

export function lifted(deadlineMs: number): number {
  return deadlineMs < lift ? Math.max(deadlineMs, 1) + lift : deadlineMs
}

/** The deadline that is meant, whether it is lifted or not. */
export function lowered(deadlineMs: number): number {
  return deadlineMs >= lift ? deadlineMs - lift : deadlineMs
}
