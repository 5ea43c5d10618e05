/** What stands in the way of a move, or should be known before it. Looks and changes nothing. */
import type { OpenOptions } from '@replatform/core/connector'
import type { Finding } from '@replatform/core/finding'
import type { Side } from '@replatform/core/move'
import type { Connection } from './connection.ts'
import type { ControlKeys } from './control-keys.ts'
import {
  backlogFindings,
  deadlineFindings,
  evictionFindings,
  type Facts,
  managedTarget,
  moduleFindings,
  notificationFindings,
  occupiedFindings,
  olderFenceFindings,
  oldTargetFindings,
  rollbackFindings,
  roomFindings,
  sharedUser,
} from './findings.ts'
import { readFlow } from './flow-store.ts'
import { takeInventory } from './inventory.ts'
import { readNotifications } from './notification-setting.ts'
import { countKeys, readInfo, readKeyspace, readServer } from './server-info.ts'

export interface AssessOptions {
  readonly open: OpenOptions
  readonly keys: ControlKeys
  readonly source: Connection
  readonly target: Connection
}

export async function assess({ open, keys, source, target }: AssessOptions): Promise<Finding[]> {
  const facts: Facts = { source: await readServer(source), target: await readServer(target) }
  await target.command('SELECT', 0)
  const { epoch } = await readFlow(target, keys)
  return [
    ...oldTargetFindings(facts),
    ...olderFenceFindings(facts),
    ...backlogFindings(facts),
    ...roomFindings(facts),
    ...deadlineFindings(await countDeadlines(source)),
    ...(isSpread(facts) ? [] : rollbackFindings(await countKeys(source))),
    ...evictionFindings(facts),
    ...moduleFindings(await readModules(source)),
    ...(epoch === null ? occupiedFindings(await readKeyspace(target)) : []),
    ...(await userFindings(open, source)),
    ...(await userFindings(open, target)),
    ...(await takeInventory({ ...facts, connections: { source, target }, isManaged: isElastiCache(open, 'target') })),
    ...notificationFindings(await readNotifications(target)),
  ]
}

/** What its servers hold together is told together. */
function isSpread({ source, target }: Facts): boolean {
  return source.isCluster || target.isCluster
}

function isElastiCache(open: OpenOptions, side: Side): boolean {
  return open[side].service === 'elasticache'
}

async function userFindings(open: OpenOptions, connection: Connection): Promise<Finding[]> {
  const { side } = connection.place
  if (isElastiCache(open, side)) return [managedTarget(side)]
  const [me] = await connection.pipeline([['ACL', 'WHOAMI']])
  return String(me) === 'default' ? [sharedUser(side)] : []
}

async function countDeadlines(source: Connection): Promise<number> {
  const databases = [...(await readInfo(source, 'keyspace')).values()]
  return databases.reduce((sum, text) => sum + Number(/expires=(\d+)/.exec(text)?.[1] ?? 0), 0)
}

/** Names only; a server that hides its modules is taken at its word. */
async function readModules(source: Connection): Promise<string[]> {
  const [list] = await source.pipeline([['MODULE', 'LIST']])
  if (!Array.isArray(list)) return []
  return list.map((module) => (Array.isArray(module) ? String(module[1]) : '?'))
}
