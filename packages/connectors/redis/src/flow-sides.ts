/**
 * Both sides of a flow as the servers that make them up, one or many, and what a mover does on a side whatever the way
 * its data goes.
 */
import type { Decision, OpenOptions } from '@replatform/core/connector'
import { ReplatformError } from '@replatform/core/errors'
import type { FenceLimits } from '@replatform/core/fence-order'
import type { Side } from '@replatform/core/move'
import type { Connection } from './connection.ts'
import { isControlKey } from './control-keys.ts'
import { fenceSide, forgetTurns, hasUsers, requireFenced, unfenceSide, withdrawFence } from './fence.ts'
import { raiseEpoch } from './flow-store.ts'
import { scanKeys } from './key-look.ts'
import type { SlotSet } from './key-slot.ts'
import { NodePool } from './node-pool.ts'
import { raisePartEpochs } from './part-store.ts'
import { countKeys } from './server-info.ts'
import { SlotLayout } from './slot-layout.ts'
import { allServers, readTopology, type Topology, urlsOf } from './topology.ts'

const unhurriedMs = 10_000

export class FlowSides implements AsyncDisposable {
  readonly source = new NodePool('source')
  readonly target = new NodePool('target')
  readonly #open: OpenOptions
  /** Servers of a cluster that were seen, for when the one that the address names is gone. */
  readonly #seen: Record<Side, readonly string[]> = { source: [], target: [] }

  constructor(open: OpenOptions) {
    this.#open = open
  }

  /** Read anew each time: a failover gives slots another server, and that is where to go on. */
  async layout(): Promise<SlotLayout> {
    const [source, target] = await Promise.all([this.topology('source'), this.topology('target')])
    return new SlotLayout(this.#open, source, target)
  }

  async topology(side: Side): Promise<Topology> {
    const { url } = this.#open[side]
    let failure: unknown
    for (const asked of new Set([url, ...this.#seen[side]])) {
      try {
        const topology = await this[side].use(asked, (connection) => readTopology(connection, url))
        if (topology.isCluster) this.#seen[side] = allServers(topology)
        return topology
      } catch (thrown) {
        if (!(thrown instanceof ReplatformError && thrown.code.startsWith('connection.'))) throw thrown
        failure ??= thrown
      }
    }
    throw failure
  }

  /** Takes the target for this flow, fences it and raises the epoch. Idempotent. Rejects with `target.not-empty`. */
  async takeTarget(): Promise<void> {
    const layout = await this.layout()
    await this.#requireOurs(layout)
    await this.fence('target', { withinMs: unhurriedMs, turn: 0 })
    await this.raise(layout)
  }

  /** From its return on no earlier mover of the flow gets anything through, whatever slots it took to be where. */
  async raise(layout: SlotLayout): Promise<number> {
    if (!layout.isSpread) {
      return this.target.use(layout.part(0).url, (target) => raiseEpoch(target, layout.flowKeys))
    }
    const { epoch, parts } = layout.flowKeys
    const tags = layout.parts.map(({ slots }) => slots.first)
    // Slots may have moved since an earlier mover: it would look at the epoch of the parts that it knew.
    const known = await this.target.use(layout.urlOf(parts), async (target) => {
      await target.command('SADD', parts, ...tags)
      return ((await target.command('SMEMBERS', parts)) as Buffer[]).map((slot) => Number(String(slot)))
    })
    const keys = [epoch, ...known.sort((a, b) => a - b).map((slot) => layout.epochOf(slot))]
    return raisePartEpochs(
      keys.map((key) => ({
        epoch: key,
        ask: (...command) => this.target.use(layout.urlOf(key), (target) => target.command(...command)),
      })),
    )
  }

  /** Every server, replicas too: one that takes over must be as closed as the one before. */
  async fence(side: Side, limits: FenceLimits): Promise<void> {
    const { move, log } = this.#open
    // Nobody but AWS changes users there: it is the user group that must admit only the mover.
    if (this.isManaged(side)) {
      log.warn({ move }, 'ElastiCache is not fenced by its users: its user group must admit only the mover.')
      return
    }
    const urls = allServers(await this.topology(side))
    // A fence that stood before is not lifted by a failure.
    const raised = new Set<string>()
    try {
      await this[side].each(urls, (connection, index) =>
        fenceSide({ connection, move, ...limits, log, onRaise: () => raised.add(urls[index] as string) }),
      )
    } catch (thrown) {
      const withdraw = { move, turn: limits.turn, log }
      await this[side].each([...raised], (connection) => withdrawFence({ connection, ...withdraw })).catch(() => {})
      throw thrown
    }
  }

  async unfence(side: Side, { turn }: Pick<FenceLimits, 'turn'>): Promise<void> {
    if (this.isManaged(side)) return
    const { move, log } = this.#open
    const urls = allServers(await this.topology(side))
    await this[side].each(urls, (connection) => unfenceSide({ connection, move, turn, log }))
  }

  /** Throws `redis.fence-lifted`. Says nothing about a managed side. */
  async requireFenced(side: Side): Promise<void> {
    if (!this.isManaged(side)) await this[side].each(allServers(await this.topology(side)), requireFenced)
  }

  isManaged(side: Side): boolean {
    return this.#open[side].service === 'elasticache'
  }

  async recordDecision({ id, outcome, at }: Decision): Promise<void> {
    const layout = await this.layout()
    await this.target.each(urlsOf(layout.parts), (target, part) =>
      target.command('HSETNX', layout.keysOf(part).decisions, id, `${outcome} ${at}`),
    )
  }

  /**
   * Throws `redis.slots-moved` where slots lie elsewhere than they did, on either side, or are on their way. What is
   * looked at meanwhile may have been missed.
   */
  async requireStill(layout: SlotLayout): Promise<void> {
    for (const side of ['source', 'target'] as const) {
      const { isCluster, shards } = await this.topology(side)
      const before = side === 'source' ? layout.sources : layout.parts
      const isSame = String(shards.map(nameOf)) === String(before.map(nameOf))
      const isMoving = isCluster ? await this[side].each(urlsOf(shards), isMovingSlots) : []
      if (isSame && !isMoving.includes(true)) continue
      throw new ReplatformError('redis.slots-moved', {
        message: `Slots of the ${side} move, or another server has taken over there, while all keys are looked at.`,
        untouched: 'Nothing is opened; keys that were copied meanwhile are as they should be.',
        next: 'Let the resharding or the failover end, then try again.',
      })
    }
  }

  /** Removes what the flow left on its target, of parts that were others' before, too. */
  async forget(): Promise<void> {
    const { move, log } = this.#open
    for (const side of ['source', 'target'] as const) {
      if (this.isManaged(side)) continue
      const urls = allServers(await this.topology(side))
      await this[side].each(urls, (connection) => forgetTurns({ connection, move, log }))
    }
    const layout = await this.layout()
    if (!layout.isSpread) {
      const { epoch, checkpoint, decisions, notifications } = layout.flowKeys
      return this.target.use(layout.part(0).url, async (target) => {
        // Before 6 a fenced side takes no write, and nothing was ever written there.
        if (await hasUsers(target)) await target.command('DEL', epoch, checkpoint, decisions, notifications)
      })
    }
    await this.target.each(urlsOf(layout.parts), async (target) => {
      for await (const keys of scanKeys(target, 0)) {
        const own = keys.filter((key) => isControlKey(0, key) && isOf(key, move))
        await target.pipeline(own.map((key) => ['DEL', key]))
      }
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.source[Symbol.asyncDispose]()
    await this.target[Symbol.asyncDispose]()
  }

  async #requireOurs(layout: SlotLayout): Promise<void> {
    const held = await this.target.each(urlsOf(layout.parts), async (target, part) => {
      const isOurs = (await target.command('EXISTS', layout.keysOf(part).epoch)) === 1
      return isOurs ? 0 : countKeys(target)
    })
    const keys = held.reduce((sum, count) => sum + count, 0)
    if (keys === 0) return
    throw new ReplatformError('target.not-empty', {
      message: `The target holds ${keys} keys that this move did not create.`,
    })
  }
}

function nameOf({ url, slots }: { readonly url: string; readonly slots: SlotSet }): string {
  return `${url} ${slots}`
}

/** A server marks slots that come or go in its own line: `[5461->-…]`, `[5461-<-…]`. */
async function isMovingSlots(server: Connection): Promise<boolean> {
  const lines = String(await server.command('CLUSTER', 'NODES')).split('\n')
  return lines.some((line) => line.includes('myself') && line.includes(' ['))
}

/** `replatform:{…}:<move>:…`, or `replatform:{<move>}:…`. */
function isOf(key: Buffer, move: string): boolean {
  const [, tag, rest = ''] = /^replatform:\{([^}]*)\}:(.*)$/s.exec(key.toString('latin1')) ?? []
  return tag === move || rest.startsWith(`${move}:`)
}
