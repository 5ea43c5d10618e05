import { type ChildProcess, fork } from 'node:child_process'
import type { Endpoint } from '@replatform/core/connector'
import { MoverClient } from '@replatform/engine/mover-client'
import type { MoverEvent } from '@replatform/engine/mover-protocol'

export interface TestMoverOptions {
  /** A file that calls `serveTestMover` with the route. */
  readonly main: URL
  readonly move: string
  /** The sides of the flow that goes forward. */
  readonly source: Endpoint
  readonly target: Endpoint
  /** A broker's plan, as the estate names it. */
  readonly topology?: string | undefined
  /** Where a move keeps its stream during the load, as the estate names it. */
  readonly spool?: { readonly folder: string } | undefined
  /** Two unless said. */
  readonly workers?: number
  /** Of Node, beside the limit of the heap that the product sets. */
  readonly nodeOptions?: readonly string[]
}

/** A mover in a process of its own, as the worker runs it, that a test can kill. */
export class TestMover implements AsyncDisposable {
  readonly client: MoverClient
  readonly events: MoverEvent[] = []
  readonly #child: ChildProcess

  static async start(options: TestMoverOptions): Promise<TestMover> {
    const { main, move, source, target, topology, spool, workers = 2, nodeOptions = [] } = options
    const child = fork(main, {
      env: { ...process.env, TEST_MOVER_SIDES: JSON.stringify({ source, target }) },
      execArgv: ['--max-old-space-size=160', ...nodeOptions],
    })
    const mover = new TestMover(child)
    // Addresses stay out of the specification, as in an estate.
    const unnamed = ({ kind }: Endpoint) => ({ kind, url: 'env:UNUSED' })
    const sides = { source: unnamed(source), target: unnamed(target) }
    const store = { ...sides, workers, ...(topology === undefined ? {} : { topology }), ...(spool ? { spool } : {}) }
    await mover.client.call('open', { spec: { name: move, tools: {}, store } })
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

  get pid(): number {
    return this.#child.pid ?? 0
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
