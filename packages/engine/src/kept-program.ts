/**
 * A program of somebody else's, in a folder of its own that only its user can enter. Both are gone when it is disposed
 * of, or when this process dies: a shell waits beside it for the end of its own input, which ends with us however we go.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, chown, constants, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { ReplatformError } from '@replatform/core/errors'

export interface OsUser {
  readonly uid: number
  readonly gid: number
}

export interface KeptProgramOptions {
  /** What its folder is called after. */
  readonly name: string
  /** As found by `findProgram`. */
  readonly program: string
  /** Given the folder. Every user of the machine can read them: no secret belongs here. */
  readonly args: (folder: string) => readonly string[]
  /** Whom it runs as, where we are root and it must not be. */
  readonly user?: OsUser | undefined
}

/** Takes one line before it starts anything, since the folder must be gone too when nothing was started. */
const keeper = `
folder=$1; shift
if read -r go; then
  "$@" < /dev/null > "$folder/log" 2>&1 &
  program=$!
  echo "$program"
  read -r end
  kill -KILL "$program"
  wait "$program"
fi 2> /dev/null
rm -rf "$folder"
`
const readyWithinMs = 15_000

export class KeptProgram implements AsyncDisposable {
  readonly folder: string
  readonly #options: KeptProgramOptions
  readonly #shell: ChildProcess
  #pid: number | null = null

  /** Makes the folder; starts nothing yet. */
  static async create(options: KeptProgramOptions): Promise<KeptProgram> {
    const { name, user } = options
    const folder = await mkdtemp(join(tmpdir(), `replatform-${name}-`))
    try {
      if (user) await chown(folder, user.uid, user.gid)
      return new KeptProgram(options, folder)
    } catch (thrown) {
      await rm(folder, { recursive: true, force: true })
      throw thrown
    }
  }

  private constructor(options: KeptProgramOptions, folder: string) {
    const { program, args, user } = options
    this.#options = options
    this.folder = folder
    // A group of its own, so that an interrupt from the terminal leaves it to us; and nothing of our environment.
    this.#shell = spawn('/bin/sh', ['-c', keeper, 'keeper', folder, program, ...args(folder)], {
      cwd: folder,
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
      stdio: ['pipe', 'pipe', 'ignore'],
      detached: true,
      ...user,
    })
    this.#shell.on('error', () => {})
    this.#shell.stdin?.on('error', () => {})
  }

  /** Null before it was started. */
  get pid(): number | null {
    return this.#pid
  }

  path(file: string): string {
    return join(this.folder, file)
  }

  /** Readable to its user only. */
  async write(file: string, content: string): Promise<void> {
    const { user } = this.#options
    await writeFile(this.path(file), content, { mode: 0o600 })
    if (user) await chown(this.path(file), user.uid, user.gid)
  }

  /** Resolves when `isReady` does no longer throw; throws `routing.failed` with the program's last words. */
  async start(isReady: () => Promise<unknown>): Promise<void> {
    this.#shell.stdin?.write('go\n')
    this.#pid = await this.#readPid()
    const deadline = performance.now() + readyWithinMs
    for (;;) {
      try {
        await isReady()
        return
      } catch (cause) {
        if (performance.now() > deadline) throw await this.#notReady(cause)
        await sleep(20)
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { exitCode, signalCode, stdin, pid } = this.#shell
    const ended = exitCode === null && signalCode === null && pid ? once(this.#shell, 'exit') : null
    stdin?.end()
    await ended
    // The shell has done it, unless somebody ended the shell.
    await rm(this.folder, { recursive: true, force: true })
  }

  /** Null where the shell could not be started. */
  async #readPid(): Promise<number | null> {
    const { stdout } = this.#shell
    if (!stdout) return null
    for await (const line of createInterface(stdout)) return Number(line)
    return null
  }

  async #notReady(cause: unknown): Promise<ReplatformError> {
    const log = await readFile(this.path('log'), 'utf8').catch(() => '')
    const said =
      log.trim().split('\n').slice(-3).join(' / ') || (cause instanceof Error ? cause.message : String(cause))
    return new ReplatformError('routing.failed', {
      message: `The copy of ${this.#options.name} does not run: ${said}`,
      cause,
    })
  }
}

/** Path of a program by its name or path; undefined where this machine has none. */
export async function findProgram(name: string): Promise<string | undefined> {
  // Debian puts servers where only root's PATH leads.
  const folders = [
    ...(process.env.PATH ?? '').split(delimiter).filter(Boolean),
    '/usr/sbin',
    '/usr/local/sbin',
    '/sbin',
  ]
  const paths = name.includes('/') ? [name] : folders.map((folder) => join(folder, name))
  for (const path of paths) {
    const runs = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (runs) return path
  }
  return undefined
}
