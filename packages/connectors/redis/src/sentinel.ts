/**
 * Finds the primary that sentinels watch. An address that names sentinels stands for whichever server is the primary at
 * the moment: it is asked for anew whenever a connection is opened.
 *
 *   redis+sentinel://user:password@host:26379,host:26379/name     (rediss+… for TLS, to both)
 */
import { ReplatformError } from '@replatform/core/errors'
import type { Side } from '@replatform/core/move'
import { type Connection, openServer } from './connection.ts'
import type { RespValue } from './resp-reader.ts'

const pattern = /^redis(s?)[+-]sentinel:\/\/(?:([^@/?#]*)@)?([^@/?#]+)(?:\/(?:\d+\/)?([^/?#]+))?(\?[^#]*)?(?:#(.+))?$/

export function namesSentinels(url: string): boolean {
  return /^rediss?[+-]sentinel:/.test(url)
}

interface SentinelAddress {
  /** Addresses of the sentinels themselves. */
  readonly sentinels: readonly string[]
  /** What they call the group of servers. */
  readonly name: string
  readonly serverUrl: (host: string, port: string | number) => string
}

/** The sentinels' own login stands in `sentinel-user` and `sentinel-password`. Errors never carry the address. */
export function parseSentinels(url: string): SentinelAddress {
  const [, secure = '', login = '', hosts = '', inPath, query = '', inFragment] = pattern.exec(url) ?? []
  const name = inFragment ?? inPath
  if (hosts === '' || name === undefined) throw malformed()
  const options = new URLSearchParams(query)
  const [user, password] = [options.get('sentinel-user'), options.get('sentinel-password')]
  for (const own of ['sentinel-user', 'sentinel-password']) options.delete(own)
  const rest = options.size > 0 ? `?${options}` : ''
  const own = password === null ? '' : `${encodeURIComponent(user ?? '')}:${encodeURIComponent(password)}@`
  const scheme = `redis${secure}://`
  return {
    sentinels: hosts.split(',').map((host) => `${scheme}${own}${/:\d+$/.test(host) ? host : `${host}:26379`}${rest}`),
    name: decodeURIComponent(name),
    serverUrl: (host, port) => {
      const literal = host.includes(':') ? `[${host}]` : host
      return `${scheme}${login === '' ? '' : `${login}@`}${literal}:${port}${rest}`
    },
  }
}

/**
 * The address of the server that takes writes; an address that names no sentinels is that already. Rejects with
 * `connection.refused` where no sentinel answers, or while another server is taking over.
 */
export async function findPrimary(url: string, side: Side): Promise<string> {
  if (!namesSentinels(url)) return url
  const { sentinels, name, serverUrl } = parseSentinels(url)
  const answer = await askFirst(sentinels, side, (sentinel) =>
    sentinel.command('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name),
  )
  if (!Array.isArray(answer)) {
    throw new ReplatformError('redis.unknown-primary', {
      message: `The sentinels of the ${side} know no group ${name}.`,
    })
  }
  const found = serverUrl(String(answer[0]), String(answer[1]))
  await using server = await openServer({ url: found, side })
  await requirePrimary(server)
  return found
}

/** Addresses of the replicas that the sentinels see alive; none where the address names no sentinels. */
export async function findReplicas(url: string, side: Side): Promise<string[]> {
  if (!namesSentinels(url)) return []
  const { sentinels, name, serverUrl } = parseSentinels(url)
  // Called SLAVES until 5.0, and still understood by all that came since.
  const answer = await askFirst(sentinels, side, (sentinel) => sentinel.command('SENTINEL', 'SLAVES', name))
  const replicas = (Array.isArray(answer) ? answer : []).map(fieldsOf)
  return replicas
    .filter((fields) => !/down|disconnected/.test(fields.get('flags') ?? ''))
    .map((fields) => serverUrl(fields.get('ip') ?? '', fields.get('port') ?? ''))
}

/** One after the other, as the mover's user of the address. */
export async function eachReplica(
  url: string,
  side: Side,
  work: (replica: Connection) => Promise<unknown>,
): Promise<void> {
  for (const server of await findReplicas(url, side)) {
    await using replica = await openServer({ url: server, side })
    await work(replica)
  }
}

async function askFirst(
  sentinels: readonly string[],
  side: Side,
  ask: (sentinel: Connection) => Promise<RespValue>,
): Promise<RespValue> {
  let last: unknown
  for (const url of sentinels) {
    try {
      await using sentinel = await openServer({ url, side })
      return await ask(sentinel)
    } catch (thrown) {
      last = thrown
    }
  }
  throw last
}

async function requirePrimary(server: Connection): Promise<void> {
  const role = await server.command('ROLE')
  if (Array.isArray(role) && String(role[0]) === 'master') return
  const { side, host, port } = server.place
  throw new ReplatformError('connection.refused', {
    message: `The sentinels name ${host}:${port} as the primary of the ${side}, and it says that it is none (yet).`,
  })
}

function fieldsOf(list: RespValue): Map<string, string> {
  const texts = Array.isArray(list) ? list.map(String) : []
  return new Map(texts.flatMap((text, index) => (index % 2 === 0 ? [[text, texts[index + 1] ?? '']] : [])))
}

function malformed(): ReplatformError {
  return new ReplatformError('secret.unresolved', {
    message: 'The address of the store names sentinels in a way that cannot be read.',
    next: 'Write it as redis+sentinel://user:password@host:26379,host:26379/name; special characters percent-encoded.',
  })
}
