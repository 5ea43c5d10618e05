/**
 * Sees by the calls that servers count that somebody has flushed or swapped databases, which no notification tells: a
 * pass over all keys need not wait for its turn then.
 */
import type { NodePool } from './node-pool.ts'
import { parseInfo } from './server-info.ts'
import { urlsOf } from './topology.ts'

const names = ['flushall', 'flushdb', 'swapdb']
const everyMs = 1_000

export class FlushWatch {
  readonly #servers: NodePool
  readonly #counts = new Map<string, number>()
  #askedMs = 0

  constructor(servers: NodePool) {
    this.#servers = servers
  }

  /** Asks no more than once a second. Indexes of those that were flushed since they were asked last. */
  async find(servers: readonly { readonly url: string }[]): Promise<number[]> {
    if (performance.now() - this.#askedMs < everyMs) return []
    this.#askedMs = performance.now()
    const urls = urlsOf(servers)
    const counts = await this.#servers.each(urls, async (server) => {
      const fields = parseInfo(String(await server.command('INFO', 'commandstats')))
      return names.reduce((sum, name) => sum + callsOf(fields.get(`cmdstat_${name}`)), 0)
    })
    const flushed = counts.flatMap((count, index) => {
      const before = this.#counts.get(urls[index] as string)
      this.#counts.set(urls[index] as string, count)
      return before === undefined || before === count ? [] : [index]
    })
    return flushed
  }
}

function callsOf(text = ''): number {
  return Number(/\bcalls=(\d+)/.exec(text)?.[1] ?? 0)
}
