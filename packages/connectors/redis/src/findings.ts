/** Findings about Redis. Pure: facts in, findings out. */
import { evidence, type Finding } from '@replatform/core/finding'
import type { Side } from '@replatform/core/move'
import type { ServerInfo } from './server-info.ts'

export interface Facts {
  readonly source: ServerInfo
  readonly target: ServerInfo
}

const reassuringBacklogBytes = 64 * 1024 * 1024
const reassuringSeconds = 600

/** Before 7.0 no server tells the moment of a deadline, which must be known to the millisecond. */
export function oldTargetFindings({ target }: Facts): Finding[] {
  if (target.major >= 7) return []
  return [
    {
      id: 'redis.target-too-old',
      severity: 'blocker',
      title: 'The target is older than 7.0 and cannot tell deadlines exactly.',
      evidence: [`${target.product} ${target.version}`],
      remedy: 'Create the target with Redis 7 or Valkey 8.',
    },
  ]
}

/** Each key's own deadline is set right before the write pause; those that are near, or were written since, inside. */
const deadlinesPerSecond = 400_000

/** `keys`: those of the source that have a deadline. */
export function deadlineFindings(keys: number): Finding[] {
  const seconds = keys / deadlinesPerSecond
  if (seconds < 1) return []
  return [
    {
      id: 'redis.many-deadlines',
      severity: 'note',
      title: `Giving ${keys} keys their own deadline will take about ${seconds.toFixed(1)} s before the write pause.`,
      evidence: [`INFO keyspace: expires ${keys}`, `about ${deadlinesPerSecond} a second, as measured on two cores`],
      remedy:
        'Nothing, where most of them live for longer than some minutes. Keys that live shorter are set inside the pause: ' +
        'where there are more than 200,000 of them, leave these seconds of room in pauseBudget of the wave.',
    },
  ]
}

/** Compared on two fenced sides, between servers as between clusters: what one process does. */
const comparedPerSecond = 200_000

/** `keys`: all that the source holds. */
export function rollbackFindings(keys: number): Finding[] {
  const seconds = keys / comparedPerSecond
  if (seconds < 0.5) return []
  return [
    {
      id: 'redis.rollback-compares',
      severity: seconds >= 2 ? 'risk' : 'note',
      title: `A rollback compares ${keys} keys in its pause, which will take about ${seconds.toFixed(1)} s.`,
      evidence: [`${keys} keys on the source`, `about ${comparedPerSecond} a second, as measured on two cores`],
      remedy: 'Set rollbackBudget of the wave to more; `replatform verify` predicts it from a comparison of today.',
    },
  ]
}

/** A mover that was away longer than the backlog reaches must begin again. */
export function backlogFindings({ source }: Facts): Finding[] {
  const bytes = numberOf(source, 'repl_backlog_size')
  const perSecond = numberOf(source, 'instantaneous_input_kbps') * 1024
  const seconds = perSecond > 0 ? Math.floor(bytes / perSecond) : Number.POSITIVE_INFINITY
  if (bytes >= reassuringBacklogBytes && seconds >= reassuringSeconds) return []
  return [
    {
      id: 'redis.small-backlog',
      severity: 'risk',
      title: 'The replication backlog is small: a mover that is away for longer than it reaches must begin again.',
      evidence: [
        `repl-backlog-size ${bytes}`,
        ...(Number.isFinite(seconds) ? [`about ${seconds} s at the present rate`] : []),
      ],
      remedy: 'CONFIG SET repl-backlog-size 256mb',
    },
  ]
}

export function roomFindings({ source, target }: Facts): Finding[] {
  const [needed, room] = [numberOf(source, 'used_memory'), numberOf(target, 'maxmemory')]
  if (room === 0 || needed < room) return []
  return [
    {
      id: 'redis.target-too-small',
      severity: 'blocker',
      title: 'The target may use less memory than the source holds.',
      evidence: [`source used_memory ${needed}`, `target maxmemory ${room}`],
      remedy: 'Choose a larger target, or raise its maxmemory.',
    },
  ]
}

/** What a target evicts while it follows is missing there, our own keys included. */
export function evictionFindings({ target }: Facts): Finding[] {
  const policy = target.fields.get('maxmemory_policy') ?? 'noeviction'
  if (policy === 'noeviction' || numberOf(target, 'maxmemory') === 0) return []
  return [
    {
      id: 'redis.target-evicts',
      severity: 'risk',
      title: 'The target evicts keys when its memory is full, and would then differ from the source.',
      evidence: [`maxmemory-policy ${policy}`],
      remedy: 'CONFIG SET maxmemory-policy noeviction until the cutover (a parameter group on ElastiCache).',
    },
  ]
}

export function moduleFindings(modules: readonly string[]): Finding[] {
  if (modules.length === 0) return []
  return [
    {
      id: 'redis.modules',
      severity: 'risk',
      title: `The source has loaded ${modules.length} modules; keys with values of theirs stop the load.`,
      evidence: evidence(modules),
      remedy: 'Move such keys with the means of the module, and delete them on the source first.',
    },
  ]
}

export function sharedUser(side: Side): Finding {
  return {
    id: 'redis.shared-user',
    severity: 'blocker',
    title: `The mover is the user default on the ${side}: a fence could not tell it from the applications.`,
    evidence: [`${side}: ACL WHOAMI is default`],
    remedy: 'ACL SETUSER replatform on >… ~* &* +@all, then name that user in the address.',
  }
}

export function managedTarget(side: Side): Finding {
  return {
    id: 'redis.not-fenced',
    severity: 'risk',
    title: `ElastiCache lets nobody change users by command: what fences the ${side} is that only the switchover point and the mover reach it.`,
    evidence: [`${side}: service elasticache`],
    remedy:
      'aws ec2 authorize-security-group-ingress: admit HAProxy’s and the mover’s addresses only, and put HAProxy in front (switch: haproxy). ' +
      'Or give its user group the mover alone until the cutover: aws elasticache modify-user-group --user-group-id … --user-ids-to-remove <application>',
  }
}

/** `setting`: null where the server lets nobody ask, which then is nobody's to set either but of who runs it. */
export function notificationFindings(setting: string | null): Finding[] {
  if (setting !== null) return []
  return [
    {
      id: 'redis.no-notifications',
      severity: 'risk',
      title:
        'Whether the target tells of written keys cannot be seen; without it the way back is kept near by passes only.',
      evidence: ['CONFIG GET notify-keyspace-events is refused'],
      remedy: 'Set notify-keyspace-events to EA in its parameter group before the cutover.',
    },
  ]
}

/** Before 6 a server knows no users, and is fenced by a setting that stops the mover as well. */
export function olderFenceFindings({ source }: Facts): Finding[] {
  if (source.major >= 6) return []
  return [
    {
      id: 'redis.older-fence',
      severity: 'risk',
      title:
        'The source is older than 6: it is fenced by min-replicas-to-write, scripts pass that, and there is no way back.',
      evidence: [`${source.product} ${source.version}`],
      remedy:
        'Stop what calls EVAL before the cutover; a script behind the barrier aborts it. Rehearse, since a rollback is refused.',
    },
  ]
}

export function occupiedFindings(databases: ReadonlyMap<number, number>): Finding[] {
  if (databases.size === 0) return []
  return [
    {
      id: 'redis.target-not-empty',
      severity: 'blocker',
      title: 'The target holds keys that this move did not create.',
      evidence: evidence([...databases].map(([db, keys]) => `db${db}: ${keys} keys`)),
      remedy: 'Name an empty server, or empty this one yourself: Replatform never drops what it did not make.',
    },
  ]
}

function numberOf({ fields }: ServerInfo, name: string): number {
  return Number(fields.get(name) ?? 0)
}
