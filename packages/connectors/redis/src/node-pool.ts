import type { Side } from '@replatform/core/move'
import type { Connection } from './connection.ts'
import { SideConnection } from './side-connection.ts'

/** The servers of one side, each with a connection that stays open between verbs. */
export class NodePool implements AsyncDisposable {
  readonly #side: Side
  readonly #nodes = new Map<string, SideConnection>()

  constructor(side: Side) {
    this.#side = side
  }

  use<T>(url: string, work: (connection: Connection) => Promise<T>): Promise<T> {
    let node = this.#nodes.get(url)
    if (!node) {
      node = new SideConnection({ url, side: this.#side })
      this.#nodes.set(url, node)
    }
    return node.use(work)
  }

  /** All at once. The first failure is thrown when all have ended. */
  async each<T>(urls: readonly string[], work: (connection: Connection, index: number) => Promise<T>): Promise<T[]> {
    const outcomes = await Promise.allSettled(urls.map((url, index) => this.use(url, (node) => work(node, index))))
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed) throw failed.reason
    return outcomes.map((outcome) => (outcome as PromiseFulfilledResult<T>).value)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.#nodes.values()) await node[Symbol.asyncDispose]()
  }
}
