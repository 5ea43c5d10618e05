import type { ReplatformError } from '@replatform/core/errors'
import { type ServerTls, serverTls } from '@replatform/core/server-tls'

/** What the addresses of all brokers say alike. Holds the password: never logged. */
export interface BrokerUrl {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  /** Undefined for plain text. */
  readonly tls: ServerTls | undefined
}

/**
 * Reads `amqp://user:password@host:port…` or `amqps://…` (TLS), `?ca=/path` for an authority of one's own. Throws
 * `unreadable()` for anything else: an error never carries the address, since a password is part of it.
 */
export function readBrokerUrl(url: string, unreadable: () => ReplatformError): { url: URL; broker: BrokerUrl } {
  const parsed = URL.canParse(url) ? new URL(url) : null
  if (!parsed || !/^amqps?:$/.test(parsed.protocol) || parsed.hostname === '' || parsed.username === '')
    throw unreadable()
  const secure = parsed.protocol === 'amqps:'
  const host = parsed.hostname.replace(/^\[|\]$/g, '')
  const broker = {
    host,
    port: Number(parsed.port || (secure ? '5671' : '5672')),
    user: decodeURIComponent(parsed.username),
    password: decodeURIComponent(parsed.password),
    tls: secure ? serverTls(host, parsed.searchParams.get('ca')) : undefined,
  }
  return { url: parsed, broker }
}

/** An address of the broker's management in the address's query; undefined where it names none. */
export function managementIn(url: URL, key: string, unreadable: () => ReplatformError): string | undefined {
  const given = url.searchParams.get(key)
  if (given === null) return undefined
  if (!URL.canParse(given) || !/^https?:$/.test(new URL(given).protocol)) throw unreadable()
  return given.replace(/\/+$/, '')
}
