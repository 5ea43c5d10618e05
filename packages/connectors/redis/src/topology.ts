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
  const owners = parseSlots(await connection.command('CLUSTER', 'SLOTS'), connection.place.host)
  const nodes = parseNodes(String(await connection.command('CLUSTER', 'NODES')))
  const shards = [...owners.values()].map(({ ranges, primary, id }) => {
    // Before 4.0 an owner is told by its place only.
    const own = id ?? nodes.find((node) => node.host === primary.host && node.port === primary.port)?.id
    const replicas = nodes.filter((node) => node.primary === own)
    return {
      slots: new SlotSet(ranges),
      url: nodeUrl(url, primary),
      replicas: replicas.map((replica) => nodeUrl(url, replica)),
    }
  })
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
  readonly id: string | undefined
}

interface NamedNode extends Node {
  readonly id: string
  /** The id of the primary that it is a replica of. */
  readonly primary: string | null
}

/**
 * All that can be reached. CLUSTER SLOTS leaves out replicas that have not begun to replicate yet; one of them may be the
 * next primary all the same, and must be as closed as the others. A line is `id host:port@bus[,name] flags primary …`,
 * before 4.0 without `@bus`.
 */
function parseNodes(text: string): NamedNode[] {
  return text.split('\n').flatMap((line) => {
    const [id = '', address = '', flagText = '', primary = ''] = line.split(' ')
    const flags = flagText.split(',')
    const isReachable = !['fail', 'noaddr', 'handshake'].some((flag) => flags.includes(flag))
    const [, host, port] = /^(.+):(\d+)(?:@|$)/.exec(address) ?? []
    if (!isReachable || !host) return []
    return [{ id, host, port: Number(port), primary: flags.includes('slave') ? primary : null }]
  })
}

/** `[first, last, [host, port, id …], …]` for each range, the primary first; an owner may have several. */
function parseSlots(reply: RespValue, askedHost: string): Map<string, SlotOwner> {
  const owners = new Map<string, SlotOwner>()
  for (const entry of reply as RespValue[][]) {
    const [first, last, server] = entry as [number, number, RespValue[]]
    const [host, port, id] = server
    // Without a host a server means the one that the client has used.
    const primary = { host: String(host ?? '') || askedHost, port: Number(port) }
    const name = `${primary.host}:${primary.port}`
    const owner = owners.get(name) ?? { ranges: [], primary, id: id === undefined ? undefined : String(id) }
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

export function urlsOf(owners: readonly { readonly url: string }[]): string[] {
  return owners.map(({ url }) => url)
}

/** Those that take writes and their replicas. */
export function allServers({ shards }: Topology): string[] {
  return shards.flatMap(({ url, replicas }) => [url, ...replicas])
}
