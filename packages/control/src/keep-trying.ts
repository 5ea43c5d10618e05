import { toReplatformError } from '@replatform/core/errors'
import type { Clock } from '@replatform/engine/clock'

/**
 * For records of what has happened already: asks again for as long as the control database is only away, and until the
 * signal. What is asked may have had its effect although nobody said so: it must be idempotent.
 */
export async function keepTrying<T>(clock: Clock, act: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await act()
    } catch (thrown) {
      if (toReplatformError(thrown).retry !== 'retry' || signal?.aborted) throw thrown
      await clock.sleep(Math.min(25 * 2 ** attempt, 2_000), signal).catch(() => {})
    }
  }
}
