import { ReplatformError } from '@replatform/core/errors'
import { type ServerTls, serverTls } from '@replatform/core/server-tls'

/** Where a server is and who asks. Holds the password: never logged. */
export interface Address {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string | null
  /** Undefined for plain text. */
  readonly tls: ServerTls | undefined
}

/**
 * Reads `redis://user:password@host:port` or `rediss://…` (TLS), with `?ca=/path` for an authority of one's own. An
 * error never carries the address, since a password is part of it.
 */
export function parseAddress(url: string): Address {
  const parsed = URL.canParse(url) ? new URL(url) : null
  if (!parsed || !/^rediss?:$/.test(parsed.protocol) || parsed.hostname === '') {
    throw new ReplatformError('secret.unresolved', {
      message: 'The address of the store is not that of a Redis server.',
      next: 'Write it as redis://user:password@host:port, or rediss://… for TLS; special characters percent-encoded.',
    })
  }
  const host = parsed.hostname.replace(/^\[|\]$/g, '')
  return {
    host,
    port: Number(parsed.port || '6379'),
    user: decodeURIComponent(parsed.username) || 'default',
    password: parsed.password === '' ? null : decodeURIComponent(parsed.password),
    tls: parsed.protocol === 'rediss:' ? serverTls(host, parsed.searchParams.get('ca')) : undefined,
  }
}
