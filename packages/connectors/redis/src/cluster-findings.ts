/** Findings about clusters. */
import { evidence, type Finding } from '@replatform/core/finding'
import type { Side } from '@replatform/core/move'
import type { NodePool } from './node-pool.ts'
import { readInfo } from './server-info.ts'
import type { Topology } from './topology.ts'

export function otherDatabaseFindings(databases: ReadonlyMap<number, number>): Finding[] {
  const others = [...databases].filter(([db]) => db !== 0)
  if (others.length === 0) return []
  return [
    {
      id: 'redis.other-databases',
      severity: 'blocker',
      title: 'The source has keys in other databases than 0, and a cluster has no others.',
      evidence: evidence(others.map(([db, keys]) => `db${db}: ${keys} keys`)),
      remedy: 'Let each application use names of its own in database 0, or move each database to a target of its own.',
    },
  ]
}

export interface RoomOptions {
  readonly nodes: Readonly<Record<Side, NodePool>>
  readonly source: Topology
  readonly target: Topology
  /** Whether one server alone was too small for what another one holds. */
  readonly wasSmall: boolean
}

/** The servers of a side share what there is. */
export async function slotCountFindings({ nodes, source, target, wasSmall }: RoomOptions): Promise<Finding[]> {
  if (!wasSmall) return []
  const sum = async (side: Side, { shards }: Topology, field: string) => {
    const urls = shards.map(({ url }) => url)
    const all = await nodes[side].each(urls, async (node) => Number((await readInfo(node, 'memory')).get(field) ?? 0))
    return all.reduce((a, b) => a + b, 0)
  }
  const [needed, room] = [await sum('source', source, 'used_memory'), await sum('target', target, 'maxmemory')]
  if (needed < room) return []
  return [
    {
      id: 'redis.target-too-small',
      severity: 'blocker',
      title: 'The target may use less memory than the source holds.',
      evidence: [`source used_memory ${needed} in all`, `target maxmemory ${room} in all`],
      remedy: 'Choose more shards or larger ones.',
    },
  ]
}
