import { type Clock, systemClock } from '@replatform/engine/clock'

/**
 * The clock of a machine that an administrator or NTP sets while we run: the time of day jumps, durations do not. For
 * what runs in our processes; a server's clock is the machine's.
 */
export class SteppedClock implements Clock {
  #stepMs = 0

  /** Forward, or back when negative; adds to earlier steps. */
  step(ms: number): void {
    this.#stepMs += ms
  }

  now(): number {
    return systemClock.now()
  }

  wallTime(): number {
    return systemClock.wallTime() + this.#stepMs
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(ms, signal)
  }

  timer(ms: number): ReturnType<Clock['timer']> {
    return systemClock.timer(ms)
  }
}
