import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { open, readdir, readFile, readlink } from 'node:fs/promises'
import type { OsUser } from './os-user.ts'
import { pollUntil } from './poll-until.ts'

export interface ServerCommand {
  readonly program: string
  readonly args: readonly string[]
  readonly cwd: string
  /** Receives standard output and standard error. */
  readonly logFile: string
  readonly user: OsUser | undefined
  /** Beyond the bare path, locale and time zone that every server gets; nothing of ours is inherited. */
  readonly env?: Readonly<Record<string, string>> | undefined
}

/** A server that was started in a session of its own, so that Ctrl-C reaches us and not it. */
export class ServerProcess {
  readonly pid: number
  readonly #child: ChildProcess
  readonly #logFile: string

  private constructor(child: ChildProcess, pid: number, logFile: string) {
    this.#child = child
    this.pid = pid
    this.#logFile = logFile
  }

  static async launch({ program, args, cwd, logFile, user, env }: ServerCommand): Promise<ServerProcess> {
    await using log = await open(logFile, 'a')
    const child = spawn(program, args, {
      cwd,
      env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC', ...env },
      stdio: ['ignore', log.fd, log.fd],
      detached: true,
      ...user,
    })
    await once(child, 'spawn')
    if (child.pid === undefined) throw new Error(`${program} has no process id`)
    return new ServerProcess(child, child.pid, logFile)
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Sends the signal and waits for the end; harder after `withinMs`. Nothing to do when it has ended already. */
  async stop(signal: NodeJS.Signals, withinMs = 30_000): Promise<void> {
    if (!this.running) return
    const exited = once(this.#child, 'exit')
    const harder = setTimeout(() => this.#child.kill('SIGKILL'), withinMs)
    this.#child.kill(signal)
    await exited
    clearTimeout(harder)
  }

  /** Asks `ready` until it no longer throws; fails at once, with the end of the log, when the server has ended. */
  async waitUntilReady(ready: () => Promise<unknown>, withinMs = 30_000): Promise<void> {
    let failure: unknown
    const answered = await pollUntil(
      'the server answers',
      async () => {
        if (!this.running) return 'ended'
        return await ready().then(
          () => 'ready',
          (error: unknown) => {
            failure = error
          },
        )
      },
      { withinMs },
    )
    if (answered === 'ended') throw new Error(`The server did not start:\n${await this.logTail()}`, { cause: failure })
  }

  /** Without Java's stack frames, behind which nobody would find the reason. */
  async logTail(lines = 20): Promise<string> {
    const log = await readFile(this.#logFile, 'utf8')
    const told = log
      .trimEnd()
      .split('\n')
      .filter((line) => !/^\s+(at [\w.$/]+\(|\.\.\. \d+ more)/.test(line))
    return told.slice(-lines).join('\n')
  }
}

/** Ids of the processes whose working directory is `folder`: a PostgreSQL server with all its children. */
export async function processesIn(folder: string): Promise<number[]> {
  return processesWhere((workingFolder) => workingFolder === folder)
}

/** Ids of the processes that work in `folder` or in a folder of it. */
export async function processesUnder(folder: string): Promise<number[]> {
  return processesWhere((workingFolder) => workingFolder === folder || workingFolder.startsWith(`${folder}/`))
}

async function processesWhere(matches: (workingFolder: string) => boolean): Promise<number[]> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const folders = await Promise.all(ids.map((id) => readlink(`/proc/${id}/cwd`).catch(() => '')))
  return ids.filter((_, index) => matches(folders[index] ?? '')).map(Number)
}
