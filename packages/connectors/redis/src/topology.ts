/** Which servers make up one side, and which slots each of them answers for. */
import { ReplatformError } from '@replatform/core/errors'
import { parseAddress } from './address.ts'
import type { Connection } from './connection.ts'
import { SlotSet, slotCount } from './key-slot.ts'
import type { RespValue } from './resp-reader.ts'
import { findReplicas } from './sentinel.ts'
import { readServer } from './server-info.ts'

export interface Shard {
  readonly slots: SlotSet
  /** Address of the server that takes its writes, for the same user. */
  readonly url: string
  readonly replicas: readonly string[]
}

export interface Topology {
  readonly isCluster: boolean
  /** In the order of their first slot. One with all slots where there is no cluster. */
  readonly shards: readonly Shard[]
}

/**
 * Asks the server behind the address. Rejects with `redis.slots-uncovered` where slots belong to nobody: keys would be
 * lost that nobody is asked for.
 */
export async function readTopology(connection: Connection, url: string): Promise<Topology> {
  const { isCluster } = await readServer(connection)
  if (!isCluster) {
    const replicas = await findReplicas(url, connection.place.side)
    return { isCluster, shards: [{ slots: SlotSet.all, url, replicas }] }
  }
  const nodes = parseSlots(await connection.command('CLUSTER', 'SLOTS'), connection.place.host)
  const shards = [...nodes.values()].map(({ ranges, primary, replicas }) => ({
    slots: new SlotSet(ranges),
    url: nodeUrl(url, primary),
    replicas: replicas.map((replica) => nodeUrl(url, replica)),
  }))
  const covered = shards.reduce((sum, { slots }) => sum + slots.size, 0)
  if (covered !== slotCount) {
    const { side, host, port } = connection.place
    throw new ReplatformError('redis.slots-uncovered', {
      message: `${slotCount - covered} of ${slotCount} slots of the ${side} ${host}:${port} belong to no server.`,
    })
  }
  return { isCluster, shards: shards.sort((a, b) => a.slots.first - b.slots.first) }
}

interface Node {
  readonly host: string
  readonly port: number
}

interface SlotOwner {
  readonly ranges: [number, number][]
  readonly primary: Node
  readonly replicas: readonly Node[]
}

/** `[first, last, [host, port, id …], [replica …] …]` for each range; an owner may have several. */
function parseSlots(reply: RespValue, askedHost: string): Map<string, SlotOwner> {
  const owners = new Map<string, SlotOwner>()
  for (const entry of reply as RespValue[][]) {
    const [first, last, ...servers] = entry as [number, number, ...RespValue[][]]
    // Without a host a server means the one that the client has used.
    const nodes = servers.map(([host, port]) => ({ host: String(host ?? '') || askedHost, port: Number(port) }))
    const [primary, ...replicas] = nodes as [Node, ...Node[]]
    const name = `${primary.host}:${primary.port}`
    const owner = owners.get(name) ?? { ranges: [], primary, replicas }
    owner.ranges.push([first, last])
    owners.set(name, owner)
  }
  return owners
}

/** The same user and the same TLS at another server. */
function nodeUrl(url: string, { host, port }: Node): string {
  parseAddress(url)
  const node = new URL(url)
  node.hostname = host.includes(':') ? `[${host}]` : host
  node.port = String(port)
  return node.href
}
