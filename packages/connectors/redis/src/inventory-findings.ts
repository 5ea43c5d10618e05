/** What a source holds and who uses it, as findings. Pure: facts in, findings out. */
import { evidence, type Finding } from '@replatform/core/finding'
import type { KeySample, SampledKey } from './key-sample.ts'
import type { ServerInfo } from './server-info.ts'
import type { ClientKind } from './usage.ts'

const mega = 1024 * 1024
/** From here on a value crosses by commands, piece by piece. */
const bigBytes = 8 * mega
/** What servers take as one argument. */
const largestWhole = 512 * mega
/** The count of a key that was read some ten thousand times of late. */
const hotFrequency = 100

export function memoryFindings({ keys, total }: KeySample): Finding[] {
  if (keys.length === 0) return []
  const factor = total / keys.length
  const lines = [...Map.groupBy(keys, ({ type }) => type)].map(([type, own]) => {
    const bytes = own.reduce((sum, key) => sum + key.bytes, 0)
    return { bytes, text: `${type}: about ${Math.round(own.length * factor)} keys, ${megabytes(bytes * factor)}` }
  })
  const isSample = keys.length < total
  return [
    {
      id: 'redis.memory-by-type',
      severity: 'note',
      title: 'What the keys of the source are, by type and memory.',
      evidence: evidence([
        ...lines.sort((a, b) => b.bytes - a.bytes).map(({ text }) => text),
        isSample ? `from a sample of ${keys.length} of ${total} keys` : `all of ${total} keys`,
        ...(keys.some(({ bytes }) => bytes > 0) ? [] : ['memory is not told before 4.0']),
      ]),
      remedy: 'Hold it against the memory of the target’s node type, with a quarter to spare.',
    },
  ]
}

export function bigKeyFindings({ keys, total }: KeySample): Finding[] {
  const big = keys.filter(({ bytes }) => bytes > bigBytes).sort((a, b) => b.bytes - a.bytes)
  if (big.length === 0) return []
  return [
    {
      id: 'redis.big-keys',
      severity: 'risk',
      title: 'Keys above 8 MB cross piece by piece; what writes one at once must fit into the buffer of a replica.',
      evidence: evidence([
        ...big.map(({ name, type, bytes }) => `${name} (${type}): ${megabytes(bytes)}`),
        `among ${keys.length} of ${total} keys that were looked at`,
      ]),
      remedy:
        'See `redis-cli --memkeys` for all of them. Set client-output-buffer-limit for replicas (256 MB by default) and ' +
        'repl-backlog-size above what one command or transaction writes, or split it: replicas and the mover are cut off.',
    },
  ]
}

/** Of the other types elements cross by commands, however many there are. */
export function largeStreamFindings({ keys, total }: KeySample): Finding[] {
  const large = keys.filter(({ type, bytes }) => type === 'stream' && bytes > largestWhole)
  if (large.length === 0) return []
  return [
    {
      id: 'redis.large-streams',
      severity: 'risk',
      title:
        'A stream crosses as a whole, and no server takes one whose snapshot is above 512 MB: the load would stop there.',
      evidence: evidence([
        ...large.map(({ name, bytes }) => `${name}: ${megabytes(bytes)} in memory`),
        `among ${keys.length} of ${total} keys that were looked at`,
      ]),
      remedy: 'XTRIM it to what is needed, or begin a new stream, before the move starts.',
    },
  ]
}

/** Only a server that evicts by frequency counts. */
export function hotKeyFindings({ keys }: KeySample): Finding[] {
  const hot = keys.filter(({ frequency }) => (frequency ?? 0) >= hotFrequency)
  if (hot.length === 0) return []
  const sorted = hot.sort((a, b) => (b.frequency ?? 0) - (a.frequency ?? 0))
  return [
    {
      id: 'redis.hot-keys',
      severity: 'note',
      title: 'Keys that are used far more than others: in a cluster each is served by one shard alone.',
      evidence: evidence(sorted.map(({ name, frequency }) => `${name}: frequency ${frequency} of 255`)),
      remedy: 'Spread such a key over several names, or read it from replicas.',
    },
  ]
}

export function deadlineFindings({ keys }: KeySample): Finding[] {
  const lasting = keys.filter(({ hasDeadline }) => !hasDeadline)
  if (lasting.length === 0) return []
  const byKind = (list: readonly SampledKey[]) => Map.groupBy(list, ({ kind }) => kind)
  const all = byKind(keys)
  const lines = [...byKind(lasting)]
    .sort(([, a], [, b]) => b.length - a.length)
    .map(([kind, own]) => `${kind === '' ? 'without a prefix' : kind}: ${own.length} of ${all.get(kind)?.length}`)
  return [
    {
      id: 'redis.keys-without-deadline',
      severity: 'note',
      title: 'Keys without a deadline stay for ever, and no volatile-… policy evicts them.',
      evidence: evidence([...lines, `of ${keys.length} keys that were looked at`]),
      remedy: 'See that each of these kinds is meant to stay; give the others a deadline with EXPIRE.',
    },
  ]
}

export interface Both {
  readonly source: ServerInfo
  readonly target: ServerInfo
}

export function policyFindings({ source, target }: Both): Finding[] {
  const [ours, theirs] = [policyOf(source), policyOf(target)]
  if (ours === theirs) return []
  return [
    {
      id: 'redis.eviction-differs',
      severity: 'risk',
      title: 'A full memory will mean something else after the cutover: both sides evict by different policies.',
      evidence: [`source maxmemory-policy ${ours}`, `target maxmemory-policy ${theirs}`],
      remedy: `CONFIG SET maxmemory-policy ${ours} after the cutover (a parameter group on ElastiCache).`,
    },
  ]
}

function policyOf({ fields }: ServerInfo): string {
  return fields.get('maxmemory_policy') ?? 'noeviction'
}

export function persistenceFindings({ source, target }: Both, isManaged: boolean): Finding[] {
  const isOn = ({ fields }: ServerInfo) => fields.get('aof_enabled') === '1'
  const failing = ['rdb_last_bgsave_status', 'aof_last_write_status'].filter(
    (name) => (source.fields.get(name) ?? 'ok') !== 'ok',
  )
  return [
    ...(failing.length === 0
      ? []
      : [
          {
            id: 'redis.persistence-failing',
            severity: 'risk' as const,
            title: 'The source could not save its data the last time; a snapshot for the mover may fail alike.',
            evidence: failing.map((name) => `${name} ${source.fields.get(name)}`),
            remedy: 'See its log: room on its disk, and vm.overcommit_memory=1.',
          },
        ]),
    ...(isOn(source) && (isManaged || !isOn(target))
      ? [
          {
            id: 'redis.no-append-only-file',
            severity: 'risk' as const,
            title: 'The source writes an append-only file and the target does not: a crash there loses more.',
            evidence: ['source aof_enabled 1', isManaged ? 'ElastiCache has none' : 'target aof_enabled 0'],
            remedy: isManaged
              ? 'Choose Multi-AZ with replicas and daily backups, or MemoryDB for data that must survive.'
              : 'CONFIG SET appendonly yes on the target.',
          },
        ]
      : []),
  ]
}

export function clientFindings(clients: readonly ClientKind[], isIntoCluster: boolean): Finding[] {
  if (clients.length === 0) return []
  const tells = clients.some(({ isLibrary }) => isLibrary)
  const lines = clients.map(({ name, connections }) => `${name === '' ? 'unnamed' : name}: ${connections} connections`)
  return [
    {
      id: 'redis.clients',
      severity: isIntoCluster ? 'risk' : 'note',
      title: isIntoCluster
        ? 'These clients use one server today: each must know clusters to use the target.'
        : 'Clients that are connected to the source now.',
      evidence: evidence([...lines, ...(tells ? [] : ['libraries are not told before 7.2, or by old libraries'])]),
      remedy: isIntoCluster
        ? 'Let each use its library’s cluster client, and tags such as {user:1} in keys that it uses together.'
        : 'See that each will find the target: by HAProxy, by its name, or by its settings.',
    },
  ]
}

export interface Refused {
  readonly calls: ReadonlyMap<string, number>
  /** Commands that the target does not carry out for applications. */
  readonly refused: readonly string[]
}

export function refusedFindings({ calls, refused }: Refused): Finding[] {
  const used = refused.filter((name) => calls.has(name)).sort((a, b) => (calls.get(b) ?? 0) - (calls.get(a) ?? 0))
  if (used.length === 0) return []
  return [
    {
      id: 'redis.refused-commands',
      severity: 'risk',
      title: 'Commands were called on the source that the target refuses.',
      evidence: evidence(used.map((name) => `${name.toUpperCase()}: ${calls.get(name)} calls since its start`)),
      remedy: 'Find who calls them (`redis-cli monitor`, for a moment only) and change that before the cutover.',
    },
  ]
}

/** Before 5.0 a script is replicated by its text, whose effect on the target nobody can promise. */
export function scriptFindings({ major }: ServerInfo, calls: ReadonlyMap<string, number>): Finding[] {
  const scripts = ['eval', 'evalsha'].filter((name) => calls.has(name))
  if (major >= 5 || scripts.length === 0) return []
  return [
    {
      id: 'redis.scripts-by-text',
      severity: 'blocker',
      title: 'The source replicates scripts by their text: following would stop at the first one.',
      evidence: scripts.map((name) => `${name.toUpperCase()}: ${calls.get(name)} calls since its start`),
      remedy:
        'Begin each script with redis.replicate_commands() (3.2 and later) and CONFIG RESETSTAT, upgrade the source to 5.0, or move it key by key: hide PSYNC from the mover (rename-command PSYNC "").',
    },
  ]
}

function megabytes(bytes: number): string {
  return bytes >= 10 * mega ? `${Math.round(bytes / mega)} MB` : `${(bytes / mega).toFixed(1)} MB`
}
