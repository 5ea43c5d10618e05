import { pollUntil } from './poll-until.ts'
import { descendantsOf, readProcess } from './process-tree.ts'

/**
 * Stops a process and all that it has started where they are (SIGSTOP), as a machine does that swaps or hangs: its
 * connections stay open and nothing answers. Resolves when all stand still; disposing of it resumes them.
 */
export async function suspend(pid: number): Promise<SuspendedProcess> {
  const suspended = new SuspendedProcess()
  try {
    // Parents first, then again: what was started while we looked is found in the next round.
    for (let found = [pid]; found.length > 0; found = await suspended.others(pid)) await suspended.add(found)
    return suspended
  } catch (error) {
    suspended.resume()
    throw error
  }
}

export class SuspendedProcess implements Disposable {
  readonly #pids = new Set<number>()

  async add(pids: readonly number[]): Promise<void> {
    for (const pid of pids) {
      this.#pids.add(pid)
      signal(pid, 'SIGSTOP')
    }
    await pollUntil('the processes stand still', async () => {
      const statuses = await Promise.all(pids.map(readProcess))
      return statuses.every((status) => status === undefined || 'TZX'.includes(status.state))
    })
  }

  /** Those that `pid` has started, and they in turn, which are not suspended yet. */
  async others(pid: number): Promise<number[]> {
    return (await descendantsOf(pid)).map((each) => each.pid).filter((each) => !this.#pids.has(each))
  }

  /** Nothing to do for those that have ended meanwhile. */
  resume(): void {
    for (const pid of this.#pids) signal(pid, 'SIGCONT')
  }

  [Symbol.dispose](): void {
    this.resume()
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    // It has ended by itself, or was killed while it stood still.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
