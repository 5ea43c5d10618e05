import { freePort } from './free-port.ts'
import { type ServerCommand, ServerProcess } from './server-process.ts'
import type { TempFolder } from './temp-folder.ts'

export interface ServerPlan {
  /** Vanishes with the server. */
  readonly folder: TempFolder
  readonly command: ServerCommand
  /** Throws until the server answers by its own protocol. */
  readonly ready: () => Promise<unknown>
  readonly readyWithinMs?: number
}

/** A server in a folder and on ports of its own, which can be stopped, killed and started again. */
export class RestartableServer implements AsyncDisposable {
  readonly #plan: ServerPlan
  #process: ServerProcess | undefined

  private constructor(plan: ServerPlan) {
    this.#plan = plan
  }

  /** Starts it; whatever of it was there vanishes when it does not get ready. */
  static async start(plan: ServerPlan): Promise<RestartableServer> {
    const server = new RestartableServer(plan)
    try {
      await server.restart()
      return server
    } catch (error) {
      await server[Symbol.asyncDispose]()
      throw error
    }
  }

  get pid(): number {
    if (!this.#process?.running) throw new Error(`${this.#plan.command.program} does not run`)
    return this.#process.pid
  }

  /** Ends in its own orderly way. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM')
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** Starts it again on the same ports with what its folder holds; stops it first if it runs. */
  async restart(): Promise<void> {
    await this.stop()
    const { folder, command, ready, readyWithinMs } = this.#plan
    this.#process = await ServerProcess.launch(command)
    folder.guard(this.#process.pid)
    await this.#process.waitUntilReady(ready, readyWithinMs)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    await this.#plan.folder[Symbol.asyncDispose]()
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    await this.#process?.stop(signal)
    this.#plan.folder.guard(undefined)
  }
}

/** Calls `start` with free ports, and with others when somebody took one between our look and the start. */
export async function onFreePorts<T>(count: number, start: (...ports: number[]) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const ports = new Set<number>()
    while (ports.size < count) ports.add(await freePort())
    try {
      return await start(...ports)
    } catch (error) {
      if (attempt === 5 || !/eaddrinuse|in use|already bound/i.test(String(error))) throw error
    }
  }
}
