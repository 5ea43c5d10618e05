import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { ReplatformError } from '@replatform/core/errors'

/** Where a broker is and who asks. Holds the password: never logged. */
export interface BrokerAddress {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly vhost: string
  /** Undefined for plain text. Certificates are always verified. */
  readonly tls: { readonly ca?: Buffer; readonly servername?: string } | undefined
  /** Base address of the management API, without credentials: those of the broker are used. */
  readonly management: string
}

/**
 * Reads `amqp://user:password@host:port/vhost` or `amqps://…` (TLS), where an empty path is the virtual host `/`.
 * `?management=https://host:port` names the management API where it is not on the port that RabbitMQ gives it (15672,
 * with TLS 15671: Amazon MQ listens there too), `?ca=/path` an authority of one's own for both. An error never carries
 * the address, since a password is part of it.
 */
export function parseBrokerAddress(url: string): BrokerAddress {
  const parsed = URL.canParse(url) ? new URL(url) : null
  if (!parsed || !/^amqps?:$/.test(parsed.protocol) || parsed.hostname === '' || parsed.username === '')
    throw unreadable()
  const secure = parsed.protocol === 'amqps:'
  const host = parsed.hostname.replace(/^\[|\]$/g, '')
  return {
    host,
    port: Number(parsed.port || (secure ? '5671' : '5672')),
    user: decodeURIComponent(parsed.username),
    password: decodeURIComponent(parsed.password),
    vhost: decodeURIComponent(parsed.pathname.slice(1)) || '/',
    tls: secure ? tlsOptions(host, parsed.searchParams.get('ca')) : undefined,
    management: managementOf(parsed, secure),
  }
}

function managementOf(parsed: URL, secure: boolean): string {
  const given = parsed.searchParams.get('management')
  if (given === null) return secure ? `https://${parsed.hostname}:15671` : `http://${parsed.hostname}:15672`
  if (!URL.canParse(given) || !/^https?:$/.test(new URL(given).protocol)) throw unreadable()
  return given.replace(/\/+$/, '')
}

function tlsOptions(host: string, caPath: string | null): NonNullable<BrokerAddress['tls']> {
  return { ...(isIP(host) ? {} : { servername: host }), ...authority(caPath) }
}

function authority(path: string | null): { ca?: Buffer } {
  if (path === null) return {}
  try {
    return { ca: readFileSync(path) }
  } catch (cause) {
    throw new ReplatformError('tls.failed', { message: `The authority ${path} of the address cannot be read.`, cause })
  }
}

function unreadable(): ReplatformError {
  return new ReplatformError('secret.unresolved', {
    message: 'The address of the store is not that of a RabbitMQ broker.',
    next: 'Write it as amqps://user:password@host:port/vhost?management=https://host:port; special characters percent-encoded.',
  })
}
