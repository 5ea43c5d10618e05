/** What stands in the way of a move, or should be known before it. Looks and changes nothing. */
import type { OpenOptions } from '@replatform/core/connector'
import type { Finding } from '@replatform/core/finding'
import type { Connection } from './connection.ts'
import type { ControlKeys } from './control-keys.ts'
import { readFlow } from './flow-store.ts'
import { readKeyspace, readServer, type ServerInfo } from './server-info.ts'

export interface AssessOptions {
  readonly open: OpenOptions
  readonly keys: ControlKeys
  readonly source: Connection
  readonly target: Connection
}

export async function assess({ open, keys, source, target }: AssessOptions): Promise<Finding[]> {
  const servers = { source: await readServer(source), target: await readServer(target) }
  const findings = (['source', 'target'] as const).flatMap((side) => clusterFinding(servers[side], side))
  if (servers.target.major < 7) findings.push(oldTarget(servers.target))
  findings.push(...backlogFinding(servers.source))
  for (const connection of [source, target]) {
    if (connection.place.side === 'target' && open.target.service === 'elasticache') findings.push(managedTarget())
    else findings.push(...(await userFinding(connection)))
  }
  await target.command('SELECT', 0)
  const { epoch } = await readFlow(target, keys)
  if (epoch === null) findings.push(...occupiedFinding(await readKeyspace(target)))
  return findings
}

function clusterFinding({ isCluster }: ServerInfo, side: string): Finding[] {
  if (!isCluster) return []
  return [
    {
      id: 'redis.clustered',
      severity: 'blocker',
      title: `The ${side} runs in cluster mode, for which there is no route yet.`,
      evidence: [`${side}: cluster_enabled`],
      remedy: 'Name a server that does not run in cluster mode.',
    },
  ]
}

function oldTarget({ product, version }: ServerInfo): Finding {
  return {
    id: 'redis.target-too-old',
    severity: 'blocker',
    title: 'The target is older than 7.0 and cannot tell deadlines exactly.',
    evidence: [`${product} ${version}`],
    remedy: 'Create the target with Redis 7 or Valkey 8.',
  }
}

/** A mover that was away longer than the backlog reaches must begin again. */
function backlogFinding({ fields }: ServerInfo): Finding[] {
  const bytes = Number(fields.get('repl_backlog_size') ?? 0)
  const perSecond =
    Number(fields.get('instantaneous_output_repl_kbps') ?? fields.get('instantaneous_input_kbps') ?? 0) * 1024
  const seconds = perSecond > 0 ? Math.floor(bytes / perSecond) : null
  if (bytes >= 64 * 1024 * 1024 && (seconds === null || seconds >= 600)) return []
  return [
    {
      id: 'redis.small-backlog',
      severity: 'risk',
      title: 'The replication backlog is small: a mover that is away for longer than it reaches must begin again.',
      evidence: [
        `repl-backlog-size ${bytes}`,
        ...(seconds === null ? [] : [`reaches about ${seconds} s at the present rate`]),
      ],
      remedy: 'CONFIG SET repl-backlog-size 256mb',
    },
  ]
}

async function userFinding(connection: Connection): Promise<Finding[]> {
  const [me] = await connection.pipeline([['ACL', 'WHOAMI']])
  if (String(me) !== 'default') return []
  const { side } = connection.place
  return [
    {
      id: 'redis.shared-user',
      severity: 'blocker',
      title: `The mover is the user default on the ${side}: a fence could not tell it from the applications.`,
      evidence: [`${side}: ACL WHOAMI is default`],
      remedy: 'ACL SETUSER replatform on >… ~* &* +@all, then name that user in the address.',
    },
  ]
}

function managedTarget(): Finding {
  return {
    id: 'redis.target-not-fenced',
    severity: 'risk',
    title: 'ElastiCache lets nobody change users by command, so the target is not fenced by Replatform.',
    evidence: ['service: elasticache'],
    remedy: 'Give the replication group a user group that admits only the mover until the cutover.',
  }
}

function occupiedFinding(databases: ReadonlyMap<number, number>): Finding[] {
  const evidence = [...databases].map(([db, keys]) => `db${db}: ${keys} keys`)
  if (evidence.length === 0) return []
  return [
    {
      id: 'redis.target-not-empty',
      severity: 'blocker',
      title: 'The target holds keys that this move did not create.',
      evidence: evidence.slice(0, 10),
      remedy: 'Name an empty server, or empty this one yourself: Replatform never drops what it did not make.',
    },
  ]
}
