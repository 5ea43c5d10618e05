import { readdir, readFile } from 'node:fs/promises'
import { pollUntil } from './poll-until.ts'

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
      const statuses = await Promise.all(pids.map(readStatus))
      return statuses.every((status) => status === undefined || 'TZX'.includes(status.state))
    })
  }

  /** Those that `pid` has started, and they in turn, which are not suspended yet. */
  async others(pid: number): Promise<number[]> {
    return (await descendants(pid)).filter((each) => !this.#pids.has(each))
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

async function descendants(pid: number): Promise<number[]> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const parents = new Map(await Promise.all(ids.map(async (id) => [id, (await readStatus(id))?.parent] as const)))
  const found = new Set([pid])
  // A child may have a lower id than its parent, when ids have started over: go through them until nothing is added.
  for (let before = 0; before !== found.size; ) {
    before = found.size
    for (const [id, parent] of parents) if (parent !== undefined && found.has(parent)) found.add(id)
  }
  found.delete(pid)
  return [...found]
}

/** `state` as the kernel letters it: T is stopped; Z has ended, and its parent has not heard of it yet. */
async function readStatus(pid: number): Promise<{ readonly state: string; readonly parent: number } | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined)
  // The name, in brackets, may hold anything.
  const [state, parent] = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? []
  return state === undefined ? undefined : { state, parent: Number(parent) }
}
