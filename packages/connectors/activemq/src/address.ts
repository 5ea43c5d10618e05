import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { ReplatformError } from '@replatform/core/errors'

/** Where a broker of ActiveMQ is and who asks. Holds the password: never logged. */
export interface ActivemqAddress {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  /** Undefined for plain text. Certificates are always verified. */
  readonly tls: { readonly ca?: Buffer; readonly servername?: string } | undefined
  /** Of Jolokia, which tells depths and ends connections; the user is that of the broker. */
  readonly jolokia: string
}

/**
 * Reads `amqps://user:password@host:port` (AMQP 1.0; `amqp://` without TLS). `?jolokia=https://host:port/api/jolokia`
 * names the management API where it is not on the port of Amazon MQ (8162, without TLS 8161), `?ca=/path` an authority
 * of one's own for both. An error never carries the address, since a password is part of it.
 */
export function parseActivemqAddress(url: string): ActivemqAddress {
  const parsed = URL.canParse(url) ? new URL(url) : null
  if (!parsed || !/^amqps?:$/.test(parsed.protocol) || parsed.hostname === '' || parsed.username === '') {
    throw unreadable()
  }
  const secure = parsed.protocol === 'amqps:'
  const host = parsed.hostname.replace(/^\[|\]$/g, '')
  return {
    host,
    port: Number(parsed.port || (secure ? '5671' : '5672')),
    user: decodeURIComponent(parsed.username),
    password: decodeURIComponent(parsed.password),
    tls: secure
      ? { ...(isIP(host) ? {} : { servername: host }), ...authority(parsed.searchParams.get('ca')) }
      : undefined,
    jolokia: jolokiaOf(parsed, secure),
  }
}

function jolokiaOf(parsed: URL, secure: boolean): string {
  const given = parsed.searchParams.get('jolokia')
  if (given === null) return `${secure ? 'https' : 'http'}://${parsed.hostname}:${secure ? 8162 : 8161}/api/jolokia/`
  if (!URL.canParse(given) || !/^https?:$/.test(new URL(given).protocol)) throw unreadable()
  return given.replace(/\/*$/, '/')
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
    message: 'The address of the store is not that of an ActiveMQ broker.',
    next: 'Write it as amqps://user:password@host:5671?jolokia=https://host:8162/api/jolokia; special characters percent-encoded.',
  })
}
