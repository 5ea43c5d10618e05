/** What a source holds and who uses it. Reads a sample, changes nothing. */
import type { Finding } from '@replatform/core/finding'
import type { Connection } from './connection.ts'
import { refusedByClusters, refusedByElastiCache } from './elasticache-rules.ts'
import {
  type Both,
  bigKeyFindings,
  clientFindings,
  deadlineFindings,
  hotKeyFindings,
  largeStreamFindings,
  memoryFindings,
  persistenceFindings,
  policyFindings,
  refusedFindings,
  scriptFindings,
} from './inventory-findings.ts'
import { sampleKeys } from './key-sample.ts'
import { readInfo } from './server-info.ts'
import { readClients, readCommandCalls, unknownCommands } from './usage.ts'

export interface InventoryOptions extends Both {
  readonly connections: { readonly source: Connection; readonly target: Connection }
  /** The target is ElastiCache. */
  readonly isManaged: boolean
}

export async function takeInventory(options: InventoryOptions): Promise<Finding[]> {
  const { connections, source, target, isManaged } = options
  const sample = await sampleKeys(connections.source)
  const calls = await readCommandCalls(connections.source)
  const isIntoCluster = target.isCluster && !source.isCluster
  return [
    ...memoryFindings(sample),
    ...bigKeyFindings(sample),
    ...largeStreamFindings(sample),
    ...hotKeyFindings(sample),
    ...deadlineFindings(sample),
    ...policyFindings(options),
    ...persistenceFindings(await withPersistence(options), isManaged),
    ...refusedFindings({ calls, refused: await refusedCommands(options, calls) }),
    ...scriptFindings(source, calls),
    ...clientFindings(await readClients(connections.source), isIntoCluster),
  ]
}

async function withPersistence({ connections, source, target }: InventoryOptions): Promise<Both> {
  const read = async (side: 'source' | 'target') => readInfo(connections[side], 'persistence')
  return { source: { ...source, fields: await read('source') }, target: { ...target, fields: await read('target') } }
}

/** Those that the target does not know, and those that it has but not for applications. */
async function refusedCommands(
  { connections, target, isManaged }: InventoryOptions,
  calls: ReadonlyMap<string, number>,
): Promise<string[]> {
  const names = [...calls.keys()].filter((name) => !name.includes('|'))
  const unknown = await unknownCommands(connections.target, names)
  // What replicas call is no application's.
  const managed = isManaged ? refusedByElastiCache.filter((name) => !['psync', 'sync'].includes(name)) : []
  return [...new Set([...unknown, ...managed, ...(target.isCluster ? refusedByClusters : [])])]
}
