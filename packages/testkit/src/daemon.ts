import { join } from 'node:path'
import { freePort } from './free-port.ts'
import { type OsUser, unprivilegedUser } from './os-user.ts'
import { ServerProcess } from './server-process.ts'
import { createTempFolder, type TempFolder } from './temp-folder.ts'

export interface DaemonOptions {
  /** What its folder is called. */
  readonly name: string
  readonly program: string
  /** Where its folder is made: a small disk, say. The machine's temporary folder unless said. */
  readonly within?: string | undefined
  /** Its arguments on a given port. Every user of the machine can read them: no secret belongs here. */
  readonly args: (port: number) => readonly string[]
  /** Given a function, it is asked at each start, when folder and port are known. */
  readonly env?: Environment | ((port: number) => Environment)
  /** Asks the server something by its own protocol; throws until it answers. */
  readonly ready: () => Promise<unknown>
  readonly readyWithinMs?: number
  /** How it is asked to end in order; SIGTERM unless said. */
  readonly stopSignal?: NodeJS.Signals
}

type Environment = Readonly<Record<string, string>>

/**
 * A server program on a port of loopback, in a folder of its own and as an unprivileged user. It vanishes, and its
 * folder with it, when it is disposed of or when this process dies.
 */
export class Daemon implements AsyncDisposable {
  readonly host = '127.0.0.1'
  readonly logFile: string
  readonly #options: DaemonOptions
  readonly #folder: TempFolder
  readonly #user: OsUser | undefined
  #port = 0
  #process: ServerProcess | undefined

  private constructor(options: DaemonOptions, folder: TempFolder, user: OsUser | undefined) {
    this.#options = options
    this.#folder = folder
    this.#user = user
    this.logFile = join(folder.path, 'server.log')
  }

  /** Makes the folder; starts nothing yet. */
  static async create(options: DaemonOptions): Promise<Daemon> {
    const user = await unprivilegedUser()
    return new Daemon(options, await createTempFolder(options.name, user, options.within), user)
  }

  get port(): number {
    return this.#port
  }

  get pid(): number {
    if (!this.#process?.running) throw new Error(`${this.#options.name} does not run`)
    return this.#process.pid
  }

  get running(): boolean {
    return this.#process?.running ?? false
  }

  get user(): OsUser | undefined {
    return this.#user
  }

  get folder(): string {
    return this.#folder.path
  }

  /** Path of a file in the folder of the daemon. */
  path(name: string): string {
    return join(this.#folder.path, name)
  }

  /** Writes a file that only the daemon and we can read, and returns its path. */
  async write(name: string, content: string | Buffer): Promise<string> {
    return this.#folder.write(name, content)
  }

  /** Makes a folder for the daemon in its own, and returns its path. */
  async makeFolder(name: string): Promise<string> {
    return this.#folder.makeFolder(name)
  }

  /** Takes a free port and starts on it; `configure` writes what depends on the port. */
  async start(configure: (port: number) => Promise<unknown> = async () => {}): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      this.#port = await freePort()
      await configure(this.#port)
      try {
        return await this.#launch()
      } catch (error) {
        // Somebody else took the port between our look and our start.
        if (attempt === 5 || !/\bin use\b|eaddrinuse/i.test(String(error))) throw error
      }
    }
  }

  /** Ends it in order; harder after half a minute. */
  async stop(): Promise<void> {
    await this.#end(this.#options.stopSignal ?? 'SIGTERM')
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** Starts it again on the same port and files, after a stop where it still runs. */
  async restart(): Promise<void> {
    await this.stop()
    await this.#launch()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    await this.#folder[Symbol.asyncDispose]()
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    await this.#process?.stop(signal)
    this.#folder.guard(undefined)
  }

  async #launch(): Promise<void> {
    const { program, args, env, ready, readyWithinMs } = this.#options
    const launched = await ServerProcess.launch({
      program,
      args: args(this.#port),
      env: typeof env === 'function' ? env(this.#port) : env,
      cwd: this.#folder.path,
      logFile: this.logFile,
      user: this.#user,
    })
    this.#folder.guard(launched.pid)
    this.#process = launched
    await launched.waitUntilReady(ready, readyWithinMs)
  }
}
