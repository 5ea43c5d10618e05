import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'

/**
 * Proof that no other process on this machine owns a state directory: a listening socket in Linux' abstract
 * namespace. The kernel takes it away with the process, however that ended, so there is no stale lock to judge.
 */
export class StateLock implements AsyncDisposable {
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
  }

  /** Undefined when another process holds it. `realPath` must be free of symbolic links. */
  static async acquire(realPath: string): Promise<StateLock | undefined> {
    const name = createHash('sha256').update(realPath).digest('hex').slice(0, 32)
    const server = createServer((socket) => socket.destroy())
    server.listen({ path: `\0replatform-${name}` })
    try {
      await once(server, 'listening')
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code === 'EADDRINUSE') return undefined
      throw thrown
    }
    server.unref()
    return new StateLock(server)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
