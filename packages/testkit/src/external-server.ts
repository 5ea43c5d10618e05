import { readFileSync } from 'node:fs'
import { rootCertificates } from 'node:tls'
import type { ServerControl } from './rig-server.ts'

/** What an address means that names no port. `URL` drops those of HTTP by itself. */
const defaultPorts: Readonly<Record<string, number>> = {
  'amqp:': 5672,
  'amqps:': 5671,
  'http:': 80,
  'https:': 443,
  'mongodb:': 27017,
  'mysql:': 3306,
  'postgresql:': 5432,
  'redis:': 6379,
  'rediss:': 6379,
}

/**
 * A server that somebody brought along in place of one of ours, by an environment variable. The rig uses it as it
 * finds it: options that shape a server do not reach it, and it is never stopped.
 */
export class ExternalServer implements ServerControl {
  readonly running = true
  /** As it was given. */
  readonly address: string
  readonly #variable: string

  constructor(variable: string, address: string) {
    this.#variable = variable
    this.address = address
    // The address may hold a password: it does not go into the error.
    if (!URL.canParse(withOneHost(address))) throw new Error(`${variable} is not an address`)
  }

  /** The address, with its first host where it names several. */
  get url(): URL {
    return new URL(withOneHost(this.address))
  }

  get host(): string {
    return this.url.hostname
  }

  get port(): number {
    const { port, protocol } = this.url
    return Number(port || defaultPorts[protocol])
  }

  /** Where it is asked something by another protocol: named in the address, as `?management=15671`. */
  portOf(name: string, usual: number): number {
    return Number(this.url.searchParams.get(name) ?? usual)
  }

  get pid(): number {
    throw this.refusal('has no process here')
  }

  get logFile(): string {
    throw this.refusal('has no log here')
  }

  get folder(): string {
    throw this.refusal('has no files here')
  }

  async stop(): Promise<void> {
    throw this.refusal('is not ours to stop')
  }

  async kill(): Promise<void> {
    throw this.refusal('is not ours to kill')
  }

  async restart(): Promise<void> {
    throw this.refusal('is not ours to restart')
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  /** What every call gets that only a server of ours can answer. */
  refusal(reason: string): Error {
    return new Error(`The server that ${this.#variable} names ${reason}`)
  }
}

/** The server that `RIG_<name>_URL` names; `undefined` when the rig is to start its own. */
export function externalServer(name: string): ExternalServer | undefined {
  const variable = `RIG_${name.toUpperCase().replaceAll('-', '_')}_URL`
  const address = process.env[variable]
  return address ? new ExternalServer(variable, address) : undefined
}

function withOneHost(address: string): string {
  return address.replace(/,[^/@]*(?=\/|$)/, '')
}

/**
 * What to trust when somebody's own server uses TLS: the authority in the file that RIG_AUTHORITY_FILE names, or those
 * that come with Node.
 */
export function externalAuthority(): string {
  const file = process.env.RIG_AUTHORITY_FILE
  return file ? readFileSync(file, 'utf8') : rootCertificates.join('\n')
}
