/**
 * The keys of a flow, as comparisons and copiers reach them: a *lane* for each shard of the source, with what the
 * target holds of the same slots. Lanes have no key in common, so that they are worked on side by side.
 */
import type { Side } from '@replatform/core/move'
import { type Connection, openConnection } from './connection.ts'
import type { Follower } from './follower.ts'
import { type KeyReader, ServerReader } from './key-reader.ts'
import type { SlotSet } from './key-slot.ts'
import { otherDatabase } from './rdb-load.ts'
import { readKeyspace, readServer } from './server-info.ts'
import type { SlotLayout } from './slot-layout.ts'
import { SlotReader } from './slot-reader.ts'

export interface KeyLane {
  /** What a result about one of its databases is called. */
  readonly nameOf: (db: number) => string
  readonly source: KeyReader
  readonly target: KeyReader
  /** Null where nobody follows: what differs is different. */
  readonly follower: Follower | null
}

export interface KeyLanes {
  readonly lanes: readonly KeyLane[]
  /** Together they enumerate what the servers of the target hold, each key once. */
  readonly targets: readonly KeyReader[]
  /** Undefined for a key of no lane that is open here. */
  laneOf(key: Buffer): number | undefined
}

export type OpenKeyLanes = KeyLanes & AsyncDisposable

export interface OpenLanesOptions {
  /** Shards of the source; all of them unless said. */
  readonly sources?: readonly number[]
  /** By shard of the source. */
  readonly followers?: readonly Follower[]
}

/** On connections of their own. Rejects with `redis.database-in-cluster` where a server beside a cluster has others. */
export async function openLanes(layout: SlotLayout, options: OpenLanesOptions = {}): Promise<OpenKeyLanes> {
  const { sources = [...layout.sources.keys()], followers = [] } = options
  if (!layout.isSpread) return openServerLane(layout, followers[0] ?? null)
  await using stack = new AsyncDisposableStack()
  const open = async (url: string, side: Side) => stack.use(await openConnection({ url, side }))
  const lanes = await Promise.all(
    sources.map(async (source) => {
      const { url, slots } = layout.source(source)
      const parts = layout.partsOf(source).map((part) => layout.part(part))
      return {
        nameOf: () => `slots ${slots}`,
        source: await openSlotReader([{ url, slots }], slots, (url) => open(url, 'source')),
        target: await openSlotReader(parts, slots, (url) => open(url, 'target')),
        follower: followers[source] ?? null,
      }
    }),
  )
  const parts = [...new Set(sources.flatMap((source) => layout.partsOf(source)))].map((part) => layout.part(part))
  const targets = await Promise.all(
    parts.map((part) => openSlotReader([part], part.slots, (url) => open(url, 'target'))),
  )
  const laneOfShard = new Map(sources.map((source, lane) => [source, lane]))
  const all = stack.move()
  return {
    lanes,
    targets,
    laneOf: (key) => laneOfShard.get(layout.sourceOf(key)),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}

/** One server on each side, with all its databases. */
async function openServerLane(layout: SlotLayout, follower: Follower | null): Promise<OpenKeyLanes> {
  await using stack = new AsyncDisposableStack()
  const open = async (url: string, side: Side) => openServerReader(stack.use(await openConnection({ url, side })))
  const lane = {
    nameOf: (db: number) => `db${db}`,
    source: await open(layout.source(0).url, 'source'),
    target: await open(layout.part(0).url, 'target'),
    follower,
  }
  const all = stack.move()
  return { lanes: [lane], targets: [lane.target], laneOf: () => 0, [Symbol.asyncDispose]: () => all.disposeAsync() }
}

export async function openServerReader(server: Connection): Promise<ServerReader> {
  return new ServerReader(server, (await readServer(server)).major)
}

/** Slots of several servers as one. */
export async function openSlotReader(
  servers: readonly { readonly url: string; readonly slots: SlotSet }[],
  within: SlotSet,
  open: (url: string) => Promise<Connection>,
): Promise<SlotReader> {
  const opened = await Promise.all(
    servers.map(async ({ url, slots }) => {
      const connection = await open(url)
      const other = [...(await readKeyspace(connection)).keys()].find((db) => db !== 0)
      if (other !== undefined) throw otherDatabase(other)
      return { connection, slots, major: (await readServer(connection)).major }
    }),
  )
  return new SlotReader({ servers: opened, within, hasDeadlines: opened.every(({ major }) => major >= 7) })
}
