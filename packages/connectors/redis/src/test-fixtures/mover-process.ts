import { type ChildProcess, fork } from 'node:child_process'
import { MoverClient } from '@replatform/engine/mover-client'
import type { MoverEvent } from '@replatform/engine/mover-protocol'

/** A forked mover that a test can kill. */
export class TestMover implements AsyncDisposable {
  readonly client: MoverClient
  readonly events: MoverEvent[] = []
  readonly #child: ChildProcess

  static async start(name: string, urls: { source: string; target: string }): Promise<TestMover> {
    const child = fork(new URL('./mover-main.ts', import.meta.url), {
      env: { ...process.env, TEST_SOURCE_URL: urls.source, TEST_TARGET_URL: urls.target },
      execArgv: ['--max-old-space-size=160'],
    })
    const mover = new TestMover(child)
    const side = { kind: 'redis', url: 'env:UNUSED' } as const
    await mover.client.call('open', { spec: { name, tools: {}, store: { source: side, target: side, workers: 2 } } })
    return mover
  }

  private constructor(child: ChildProcess) {
    this.#child = child
    this.client = new MoverClient({
      send: (message) => void child.send(message, () => {}),
      onMessage: (handler) => void child.on('message', handler),
      onClose: (handler) => void child.once('exit', handler),
    })
    this.client.onEvent((event) => this.events.push(event))
  }

  /** Resolves with the first event that fits, of those seen already too. */
  async waitFor(fits: (event: MoverEvent) => boolean): Promise<MoverEvent> {
    const seen = this.events.find(fits)
    if (seen) return seen
    return new Promise((resolve, reject) => {
      const off = this.client.onEvent((event) => {
        if (!fits(event)) return
        off()
        resolve(event)
      })
      void this.client.closed.then(() => reject(new Error('The mover ended before the event came.')))
    })
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.client.closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    if (this.#child.connected) this.#child.disconnect()
    await this.client.closed
  }
}
