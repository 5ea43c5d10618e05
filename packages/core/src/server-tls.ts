import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { ReplatformError } from './errors.ts'

/** How a server of TLS is believed. Certificates are always verified. */
export interface ServerTls {
  /** In place of the authorities of the system. */
  readonly ca?: Buffer
  readonly servername?: string
}

/**
 * For an address that may name the file of an authority. An IP address has no name to ask for; its certificate must name
 * the address itself. Throws `tls.failed` when the file cannot be read.
 */
export function serverTls(host: string, caPath: string | null): ServerTls {
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
