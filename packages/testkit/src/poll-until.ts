import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Asks again and again until `condition` gives something truthy, and returns that. An error counts as "not yet";
 * the last one is the cause of the failure when `withinMs` is over.
 */
export async function pollUntil<T>(
  reason: string,
  condition: () => T | Promise<T>,
  { withinMs = 30_000, everyMs = 20 }: { readonly withinMs?: number; readonly everyMs?: number } = {},
): Promise<NonNullable<T>> {
  const deadline = performance.now() + withinMs
  let cause: unknown
  do {
    try {
      const answer = await condition()
      if (answer) return answer
      cause = undefined
    } catch (error) {
      cause = error
    }
    await sleep(everyMs)
  } while (performance.now() < deadline)
  throw new Error(`Waited ${withinMs} ms in vain: ${reason}`, { cause })
}
