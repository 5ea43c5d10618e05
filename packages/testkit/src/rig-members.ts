/** One of everything that a payments estate runs on, as `npm run rig` starts it. */
import { startActivemq } from './activemq-server.ts'
import { startAwsEmulator } from './aws-emulator.ts'
import { rigAuthority } from './certificate-authority.ts'
import { startElasticsearch } from './elasticsearch-server.ts'
import { startHaproxy } from './haproxy-server.ts'
import { startMariadb } from './mariadb-server.ts'
import { startMongodb } from './mongodb-server.ts'
import { startOpensearch } from './opensearch-server.ts'
import { startPgbouncer } from './pgbouncer-server.ts'
import type { PostgresqlMajor } from './postgresql-binaries.ts'
import { startPostgresql } from './postgresql-server.ts'
import { startRabbitmq } from './rabbitmq-server.ts'
import { startRedis } from './redis-server.ts'
import type { RigMemberName } from './rig-member-name.ts'
import type { RigServer } from './rig-server.ts'
import type { SearchServer } from './search-server.ts'

export interface RigMember extends AsyncDisposable {
  /** With its password: not for the terminal. */
  readonly url: string
  /** In PEM, where clients must use TLS. */
  readonly authority?: string | undefined
  /** Where its processes work. */
  readonly folders: readonly string[]
  /** Asks the server something by its own protocol; throws when it does not answer. */
  check(): Promise<unknown>
}

interface Starter {
  /** Another member, whose address this one is given. */
  readonly needs?: RigMemberName
  start(circumstances: { readonly tls: boolean; readonly needed: string }): Promise<RigMember>
}

const starters: Readonly<Record<RigMemberName, Starter>> = {
  'postgresql-13': { start: ({ tls }) => postgresql(13, tls) },
  'postgresql-17': { start: ({ tls }) => postgresql(17, tls) },
  'mariadb': {
    async start({ tls }) {
      const server = await startMariadb({ tls })
      return member(server, { url: `${server.url()}${tls ? '?ssl=true' : ''}`, check: () => server.query('SELECT 1') })
    },
  },
  'redis': {
    async start({ tls }) {
      const server = await startRedis({ tls })
      return member(server, { url: server.url(), check: () => server.command('PING') })
    },
  },
  'mongodb': {
    async start({ tls }) {
      const set = await startMongodb({ tls })
      const folders = set.members.map(({ folder }) => folder)
      return { url: set.url(), authority: set.authority, folders, check: () => set.primary(), ...disposing(set) }
    },
  },
  'rabbitmq': {
    async start({ tls }) {
      const server = await startRabbitmq({ tls })
      return member(server, {
        url: `${server.url()}?management=${server.managementPort}`,
        check: () => server.management.call('GET', 'overview'),
      })
    },
  },
  'activemq': {
    async start({ tls }) {
      const server = await startActivemq({ tls })
      return member(server, {
        url: `${server.url()}?stomp=${server.stompPort}&jolokia=${server.jolokiaPort}`,
        check: () => server.statistics.queue('rig'),
      })
    },
  },
  'elasticsearch': { start: ({ tls }) => search(startElasticsearch({ tls })) },
  'opensearch': { start: ({ tls }) => search(startOpensearch({ tls })) },
  'aws': {
    async start({ tls }) {
      const emulator = await startAwsEmulator({ tls })
      return member(emulator, { url: emulator.url, check: () => emulator.isReady() })
    },
  },
  'pgbouncer': {
    needs: 'postgresql-13',
    async start({ needed, tls }) {
      const { hostname, port, username, password } = new URL(needed)
      const pgbouncer = await startPgbouncer({
        databases: { postgres: { host: hostname, port: Number(port), dbname: 'postgres' } },
        users: { [username]: password },
        tls,
        ...(tls && { settings: { server_tls_sslmode: 'require' } }),
      })
      return member(pgbouncer, {
        url: pgbouncer.url('postgres', username, password),
        check: () => pgbouncer.check(),
      })
    },
  },
  'haproxy': {
    needs: 'postgresql-13',
    async start({ needed }) {
      const { hostname: host, port } = new URL(needed)
      const gateway = await startHaproxy({ routes: { wallet: { sides: { source: { host, port: Number(port) } } } } })
      const address = gateway.address('wallet')
      return member(gateway, {
        url: `tcp://${address.host}:${address.port}`,
        check: () => gateway.command('show info'),
      })
    },
  },
}

/** Starts those that are named, and what they need, all at the same time; none is left when one fails. */
export async function startMembers(
  names: readonly RigMemberName[],
  { tls }: { readonly tls: boolean },
): Promise<ReadonlyMap<RigMemberName, RigMember>> {
  const started = new Map<RigMemberName, Promise<RigMember>>()
  const start = (name: RigMemberName): Promise<RigMember> => {
    const starter = starters[name]
    const { needs } = starter
    const member =
      started.get(name) ?? (async () => starter.start({ tls, needed: needs ? (await start(needs)).url : '' }))()
    started.set(name, member)
    return member
  }
  for (const name of names) start(name)
  const outcomes = await Promise.allSettled(started.values())
  const failed = outcomes.find((outcome) => outcome.status === 'rejected')
  if (failed) {
    for (const outcome of outcomes) if (outcome.status === 'fulfilled') await outcome.value[Symbol.asyncDispose]()
    throw failed.reason
  }
  return new Map(await Promise.all([...started].map(async ([name, member]) => [name, await member] as const)))
}

async function postgresql(major: PostgresqlMajor, tls: boolean): Promise<RigMember> {
  const server = await startPostgresql({ major, tls })
  const check = (): Promise<unknown> => server.query('SELECT 1')
  const authority = tls ? (await rigAuthority()).certificate : undefined
  return { url: server.url(), authority, folders: [server.dataDir], check, ...disposing(server) }
}

async function search(starting: Promise<SearchServer>): Promise<RigMember> {
  const server = await starting
  return member(server, { url: server.url(), check: () => server.request('GET', '/_cluster/health') })
}

function member(
  server: RigServer & { readonly authority?: string | undefined },
  { url, check }: Pick<RigMember, 'url' | 'check'>,
): RigMember {
  return { url, authority: server.authority, folders: [server.folder], check, ...disposing(server) }
}

function disposing(server: AsyncDisposable): AsyncDisposable {
  return { [Symbol.asyncDispose]: async () => server[Symbol.asyncDispose]() }
}
