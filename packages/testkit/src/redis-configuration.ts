/** What a Redis of the rig is told at its start: its settings, and who may do what. */
import { hash } from 'node:crypto'
import type { CertificateFiles } from './certificate-authority.ts'
import { elasticacheRule } from './elasticache.ts'
import type { RedisVersion } from './redis-binaries.ts'
import type { RedisOptions } from './redis-server.ts'

export interface RedisUser {
  /** Empty on a server before 6, which knows passwords and no users. */
  readonly name: string
  /** `false` when none is asked for. */
  readonly password: string | false
}

export const rigPassword = 'rig-redis'

/** May do anything, also where the flavour refuses it: for the rig and its faults, never for what is under test. */
const admin = { name: 'rig-admin', password: 'rig-admin' } satisfies RedisUser

/** Who works with a server as it is asked for, and who is the rig's own there. */
export function usersOf({ version = '7.0', password = rigPassword }: RedisOptions): {
  readonly user: RedisUser
  readonly admin: RedisUser
} {
  const user = { name: hasUsers(version) ? 'default' : '', password }
  return { user, admin: hasUsers(version) ? admin : user }
}

/** Throws where what is asked for is more than that version can do. */
export function validateVersion({ engine, version = '7.0', ...options }: RedisOptions): void {
  const refuse = (what: string): never => {
    throw new Error(`Redis ${version} of the rig has no ${what}`)
  }
  if (version === '7.0') return
  if (engine === 'valkey') refuse('twin in Valkey')
  if (options.tls) refuse('TLS')
  if (hasUsers(version)) return
  if (options.acl) refuse('users')
  if (options.flavour === 'elasticache') refuse('users, which the flavour needs')
}

/** The content of its ACL file; `undefined` for a server before 6. */
export function usersFile({
  version = '7.0',
  password = rigPassword,
  acl = [],
  flavour,
}: RedisOptions): string | undefined {
  if (!hasUsers(version)) return undefined
  const restriction = flavour === 'elasticache' ? ` ${elasticacheRule}` : ''
  const users = [`default on ${password === false ? 'nopass' : hashed(password)} ~* &* +@all`, ...acl]
  const own = `${admin.name} on ${hashed(admin.password)} ~* &* +@all`
  return [...users.map((user) => user + restriction), own].map((user) => `user ${user}\n`).join('')
}

/** Where a server was put, and what the rig decided for it. */
export interface RedisPlacement {
  readonly host: string
  readonly port: number
  readonly folder: string
  /** Of its ACL file. */
  readonly users: string | undefined
  /** How a replica proves itself to its primary. */
  readonly replication: RedisUser
  /** Before 7.0 it is the server's own and 10,000. */
  readonly busPort: number | undefined
  readonly files: CertificateFiles | undefined
}

/** The content of its configuration file. */
export function redisConfiguration(options: RedisOptions, placement: RedisPlacement): string {
  const { version = '7.0', password = rigPassword, replicaOf, settings } = options
  const { host, port, folder, users, replication, busPort, files } = placement
  return settingLines({
    bind: host,
    ...(files ? tlsSettings(port, files) : { port: String(port) }),
    dir: folder,
    ...(users ? { aclfile: users } : password !== false && { requirepass: password }),
    ...(replicaOf && { [version === '3.2' ? 'slaveof' : 'replicaof']: `${replicaOf.host} ${replicaOf.port}` }),
    // Also without `replicaOf`, so that a server can be made a replica later.
    ...(replication.name && { masteruser: replication.name }),
    ...(replication.password && { masterauth: replication.password }),
    ...(options.cluster && { 'cluster-enabled': 'yes', 'cluster-node-timeout': '2000' }),
    ...(busPort && { 'cluster-port': String(busPort) }),
    save: '3600 1',
    'repl-diskless-sync-delay': '0',
    ...(version === '7.0' && { 'enable-debug-command': 'local' }),
    ...settings,
  })
}

export function settingLines(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name} ${value}\n`)
    .join('')
}

export function tlsSettings(
  port: number,
  { authority, certificate, key }: CertificateFiles,
): Readonly<Record<string, string>> {
  return {
    port: '0',
    'tls-port': String(port),
    'tls-cert-file': certificate,
    'tls-key-file': key,
    'tls-ca-cert-file': authority,
    // Clients prove themselves by password.
    'tls-auth-clients': 'no',
    'tls-replication': 'yes',
    'tls-cluster': 'yes',
  }
}

function hasUsers(version: RedisVersion): boolean {
  return version !== '5.0' && version !== '3.2'
}

/** As an ACL file takes any password: in clear it must hold no space. */
function hashed(password: string): string {
  return `#${hash('sha256', password)}`
}
