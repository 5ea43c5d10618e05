import type { Barrier, FollowOptions, Mover } from '@replatform/core/connector'
import type { CompareReport } from '@replatform/core/difference'
import { ReplatformError } from '@replatform/core/errors'
import { type FenceOrder, isOrderDue, rankAfter } from '@replatform/core/fence-order'
import type { Direction, Side } from '@replatform/core/move'
import { position } from '@replatform/core/position'
import type { Place } from '@replatform/core/routing'
import type { Network } from './network.ts'
import type { SimProcess } from './sim-process.ts'
import type { SimSide, SimStore } from './sim-store.ts'
import type { World } from './world.ts'

export interface SimMoverOptions {
  readonly world: World
  readonly network: Network
  readonly process: SimProcess
  readonly store: SimStore
  readonly direction: Direction
}

/** Moves a `SimStore` one way, by the rules of the connector contract. Each verb is a request to a server. */
export function openSimMover({ world, network, process, store, direction }: SimMoverOptions): Mover {
  const [from, to]: [Place, Place] = direction === 'forward' ? ['old', 'new'] : ['new', 'old']
  const [source, target] = [store.side(from), store.side(to)]
  const sideOf = (side: Side) => (side === 'source' ? source : target)
  const ask = <T>(side: SimSide, what: string, act: () => T, ms?: number) =>
    network.request(process, { to: side.server, what: `${what} (${direction})`, act, ...(ms ? { ms } : {}) })
  let epoch = ''

  const openStream = () => {
    if (!source.streams.has(direction)) {
      source.streams.set(direction, { id: world.newId('stream'), from: source.log.length })
    }
  }
  const stream = () => {
    const found = source.streams.get(direction)
    if (found) return found
    throw new ReplatformError('postgresql.slot-missing', { message: `${source.server.name} has no stream.` })
  }
  const raiseEpoch = () => {
    epoch = world.newId('epoch')
    const raised = epoch
    return ask(target, 'raise-epoch', () => target.raiseEpoch(direction, raised))
  }

  return {
    assess: async () => [],
    prepare: async ({ load }) => {
      await ask(source, 'open the stream', openStream)
      if (load) await ask(target, 'create the schema, fenced', () => order(target, 'fence', 0))
    },
    groups: async () => [],
    async *chunks() {
      yield { id: 'all', group: 'rows', bytes: 1 }
    },
    load: async () => {
      const rows = await ask(source, 'read', () => ({ stream: stream(), log: source.log.slice() }))
      await ask(target, 'load', () => load(rows.stream.id, rows.log))
      return { rows: rows.log.length, bytes: rows.log.length }
    },
    finishLoad: async () => {},
    follow: async (options) => {
      await raiseEpoch()
      await follow(options)
    },
    strain: async () => null,
    raiseEpoch,
    fence: (side, { turn }) =>
      ask(sideOf(side), `fence ${side}`, () => order(sideOf(side), 'fence', turn), world.random.between(1, 20)),
    unfence: (side, { turn }) => ask(sideOf(side), `unfence ${side}`, () => order(sideOf(side), 'unfence', turn)),
    barrier: () =>
      ask(source, 'barrier', () => ({ position: position(String(source.log.length)), at: '2026-01-01T00:00:00Z' })),
    remaining: (barrier) =>
      ask(target, 'remaining', () => ({ count: remaining(barrier), unit: 'changes', exact: true })),
    compare: ({ scope, at }) => compare(scope, at),
    settleAhead: async () => {},
    settle: async () => {
      const sequence = await ask(source, 'read sequences', () => source.log.length)
      await ask(target, 'settle', () => target.carrySequence(sequence))
    },
    markStart: () =>
      ask(source, 'mark-return', () => {
        source.streams.set(direction, { id: world.newId('stream'), from: source.log.length })
      }),
    recordDecision: (decision) =>
      ask(target, 'record-decision', () => void target.decisions.set(decision.id, decision)),
    cleanUp: () => ask(source, 'give up the stream', () => void source.streams.delete(direction)),
    [Symbol.asyncDispose]: async () => {},
  }

  async function follow({ signal, report }: FollowOptions): Promise<void> {
    const mine = epoch
    while (!signal.aborted) {
      const read = await ask(source, 'read the stream', () => {
        const { id, from } = stream()
        const at = reached(id, from)
        return { id, at, rows: source.log.slice(at) }
      })
      // Now and then a batch takes long.
      const ms = world.random.chance(0.03) ? world.random.between(20, 400) : 0
      if (read.rows.length > 0) await ask(target, 'apply', () => apply(mine, read), ms)
      const sums = { transactions: 0, rows: read.rows.length, bytes: read.rows.length }
      report({ position: position(String(read.at + read.rows.length)), lagMs: 0, lagBytes: 0, ...sums })
      await process.clock.sleep(world.random.between(10, 40), signal).catch(() => {})
    }
  }

  function reached(id: string, from: number): number {
    const checkpoint = target.checkpoints.get(direction)
    return checkpoint?.stream === id ? checkpoint.at : from
  }

  /** The epoch is looked at in the same transaction as the rows are written. */
  function apply(mine: string, { id, at, rows }: { id: string; at: number; rows: readonly string[] }): void {
    if (target.epochs.get(direction) !== mine) {
      throw new ReplatformError('epoch.superseded', { message: 'Another mover follows.' })
    }
    for (const row of rows) write(row)
    target.checkpoints.set(direction, { stream: id, at: at + rows.length })
  }

  function write(row: string): void {
    if (target.rows.has(row)) world.violate('nothing-doubled', `${target.server.name} gets ${row} a second time`)
    target.add(row)
  }

  function load(id: string, log: readonly string[]): void {
    for (const row of log) if (!target.rows.has(row)) target.add(row)
    target.checkpoints.set(direction, { stream: id, at: log.length })
  }

  /** What arrives late, or begins late, changes nothing. */
  function order(side: SimSide, verb: FenceOrder['verb'], turn: number): void {
    const asked = { verb, turn }
    if (!isOrderDue(asked, side.rank, side.server.name)) return
    side.rank = rankAfter(asked, side.rank)
    if (verb === 'unfence' || !side.isFenced) side.turn(verb === 'fence')
  }

  function remaining(barrier: Barrier): number {
    const { id, from } = stream()
    return Math.max(0, Number(barrier.position) - reached(id, from))
  }

  async function compare(scope: 'all' | 'changed', at: 'live' | 'fenced'): Promise<CompareReport> {
    const [there, here] = await Promise.all([
      ask(source, `compare ${at}`, () => source.log.filter((row) => source.rows.has(row))),
      ask(target, `compare ${at}`, () => new Set(target.rows)),
    ])
    // A live comparison aligns both sides: what is on its way is no difference.
    const missing = at === 'live' ? 0 : there.filter((row) => !here.has(row)).length
    const matching = there.length - missing
    const extra = at === 'live' ? 0 : here.size - matching
    const result = { name: 'rows', processed: there.length, matching, mismatched: 0, missing, extra, samples: [] }
    return { scope, at: String(there.length), equal: missing + extra === 0, seconds: 0, results: [result] }
  }
}
