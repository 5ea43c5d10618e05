import { readdir, readFile } from 'node:fs/promises'

export interface ProcessId {
  readonly pid: number
  /** In ticks since the machine started: another process may get the same number later. */
  readonly startedAt: string
}

export interface ProcessStatus extends ProcessId {
  readonly parent: number
  /** As the kernel letters it: T is stopped; Z has ended, and its parent has not heard of it yet. */
  readonly state: string
}

/** What it has started, and what these have started in turn; without itself, and without what has ended. */
export async function descendantsOf(root: number): Promise<ProcessId[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const all = (await Promise.all(pids.map(readProcess))).flatMap((status) =>
    status && status.state !== 'Z' ? status : [],
  )
  const family = new Set([root])
  // A child may have a lower id than its parent, when ids have started over: go through them until nothing is added.
  for (let before = 0; before !== family.size; ) {
    before = family.size
    for (const { pid, parent } of all) if (family.has(parent)) family.add(pid)
  }
  return all.filter(({ pid }) => pid !== root && family.has(pid))
}

/** Those of them that have not ended. */
export async function stillRunning(processes: readonly ProcessId[]): Promise<ProcessId[]> {
  const now = await Promise.all(processes.map(({ pid }) => readProcess(pid)))
  return processes.filter(({ startedAt }, i) => now[i]?.startedAt === startedAt && now[i]?.state !== 'Z')
}

/** `/proc/<pid>/stat`, see proc(5): fields 3, 4 and 22. Undefined where there is no such process. */
export async function readProcess(pid: number): Promise<ProcessStatus | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined)
  // The name, in brackets, may hold anything.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')
  if (!fields) return undefined
  return { pid, state: fields[0] ?? '', parent: Number(fields[1]), startedAt: fields[19] ?? '' }
}
