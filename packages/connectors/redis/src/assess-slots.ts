/** Findings where slots are spread over servers: those of each server, told together. */
import type { OpenOptions } from '@replatform/core/connector'
import { evidence, type Finding } from '@replatform/core/finding'
import type { Side } from '@replatform/core/move'
import { assess } from './assess.ts'
import { otherDatabaseFindings, slotCountFindings } from './cluster-findings.ts'
import { rollbackFindings } from './findings.ts'
import type { NodePool } from './node-pool.ts'
import { countKeys, readKeyspace } from './server-info.ts'
import { SlotLayout } from './slot-layout.ts'
import { type Shard, type Topology, urlsOf } from './topology.ts'

export interface AssessSlotsOptions {
  readonly open: OpenOptions
  readonly nodes: Readonly<Record<Side, NodePool>>
  readonly source: Topology
  readonly target: Topology
}

export async function assessSlots({ open, nodes, source, target }: AssessSlotsOptions): Promise<Finding[]> {
  const layout = new SlotLayout(open, source, target)
  const findings: Finding[] = []
  // Every server is looked at once, beside one of the other side.
  for (let at = 0; at < Math.max(source.shards.length, target.shards.length); at++) {
    const ours = source.shards[at % source.shards.length] as Shard
    const part = at % target.shards.length
    const theirs = target.shards[part] as Shard
    const found = await nodes.source.use(ours.url, (asked) =>
      nodes.target.use(theirs.url, (other) =>
        assess({ open, keys: layout.keysOf(part), source: asked, target: other }),
      ),
    )
    findings.push(...found)
  }
  const rooms = findings.filter(({ id }) => id === 'redis.target-too-small')
  const others = findings.filter(({ id }) => id !== 'redis.target-too-small')
  const databases = await nodes.source.use(open.source.url, readKeyspace)
  const counts = await nodes.source.each(urlsOf(source.shards), countKeys)
  return [
    ...merge(others),
    ...rollbackFindings(counts.reduce((sum, keys) => sum + keys, 0)),
    ...(await slotCountFindings({ nodes, source, target, wasSmall: rooms.length > 0 })),
    ...(target.isCluster ? otherDatabaseFindings(databases) : []),
  ]
}

/** One finding for what several servers have in common. */
function merge(findings: readonly Finding[]): Finding[] {
  const groups = Map.groupBy(findings, ({ id, title }) => `${id} ${title}`)
  return [...groups.values()].map((same) => {
    const [first] = same as [Finding]
    return { ...first, evidence: evidence([...new Set(same.flatMap((finding) => finding.evidence))]) }
  })
}
