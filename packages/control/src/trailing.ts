/** Moves that follow a wave without joining its pause: when each was level with what the wave left behind. */
import type { HostedMove } from './hosted-move.ts'
import { isoNow, type Services } from './services.ts'

const everyMs = 100

/** The step of a cutover that says so, per move. */
export function levelStep(move: string): string {
  return `level ${move}`
}

/**
 * Notes in the journal of the cutover when the move is level: nothing is left of what its source had written when the
 * wave was over. Goes on until then, or until the signal.
 */
export async function noteWhenLevel(
  services: Services,
  move: HostedMove,
  cutover: string,
  signal: AbortSignal,
): Promise<void> {
  const { clock, journal } = services
  const { progress } = move.supervisor
  const since = clock.now()
  const description = `${move.name}, which trails, was level with the wave.`
  const step = { move: move.name, operation: cutover, name: levelStep(move.name), description }
  const entry = await journal.started(step, isoNow(clock))
  while (!signal.aborted) {
    // A report from before says nothing about what came last.
    if (progress.followedAtMs !== null && progress.followedAtMs > since && progress.follow()?.lagBytes === 0) {
      await journal.finished(entry, progress.followedAtMs - since, null)
      return
    }
    await clock.sleep(everyMs, signal).catch(() => {})
  }
}
