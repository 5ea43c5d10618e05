import { readdir, readFile } from 'node:fs/promises'
import { pollUntil } from './poll-until.ts'

/**
 * Stops a process and all that it has started where they are (SIGSTOP), as a machine does that swaps or hangs: its
 * connections stay open and nothing answers. Resolves when all stand still; disposing of it resumes them.
 */
export async function suspend(pid: number): Promise<SuspendedProcess> {
  const suspended = new SuspendedProcess([pid, ...(await descendants(pid))])
  await suspended.untilStopped()
  return suspended
}

export class SuspendedProcess implements Disposable {
  readonly #pids: readonly number[]

  constructor(pids: readonly number[]) {
    this.#pids = pids
    for (const pid of pids) process.kill(pid, 'SIGSTOP')
  }

  async untilStopped(): Promise<void> {
    await pollUntil('the processes stand still', async () => {
      const states = await Promise.all(this.#pids.map(async (pid) => (await readStatus(pid))?.state ?? 'gone'))
      return states.every((state) => state === 'T' || state === 'gone')
    })
  }

  /** Nothing to do for those that have ended meanwhile. */
  resume(): void {
    for (const pid of this.#pids) {
      try {
        process.kill(pid, 'SIGCONT')
      } catch {
        // It was killed while it stood still.
      }
    }
  }

  [Symbol.dispose](): void {
    this.resume()
  }
}

async function descendants(pid: number): Promise<number[]> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const parents = new Map(await Promise.all(ids.map(async (id) => [id, (await readStatus(id))?.parent] as const)))
  const found = new Set([pid])
  // Parents have lower ids than their children until ids start over: go through them until nothing is added.
  for (let before = 0; before !== found.size; ) {
    before = found.size
    for (const [id, parent] of parents) if (parent !== undefined && found.has(parent)) found.add(id)
  }
  found.delete(pid)
  return [...found]
}

async function readStatus(pid: number): Promise<{ state: string; parent: number } | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined)
  // The name, in brackets, may hold anything.
  const [state, parent] = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? []
  return state === undefined ? undefined : { state, parent: Number(parent) }
}
