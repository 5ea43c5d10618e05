import { Agent, request as requestPlain } from 'node:http'
import { request as requestTls, Agent as TlsAgent } from 'node:https'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { ReplatformError } from '@replatform/core/errors'
import type { Side } from '@replatform/core/move'
import type { BrokerAddress } from './address.ts'

const withinMsMost = 15_000
/** A broker that is booting lets its users in after seconds. */
const bootingMsMost = 15_000
const askAgainMs = 250

export interface ManagementApiOptions {
  readonly address: BrokerAddress
  readonly side: Side
  /** Connects to the broker itself as the same user, and leaves. Throws when it is not there or refuses the user. */
  readonly login: () => Promise<void>
}

interface Answer {
  readonly status: number
  readonly body: string
}

/** The HTTP API of RabbitMQ's management plugin, as the user of the address. Keeps its connection between requests. */
export class ManagementApi implements AsyncDisposable {
  readonly #address: BrokerAddress
  readonly #side: Side
  readonly #login: () => Promise<void>
  readonly #agent: Agent

  constructor({ address, side, login }: ManagementApiOptions) {
    this.#address = address
    this.#side = side
    this.#login = login
    const options = { keepAlive: true, maxSockets: 4 }
    this.#agent = address.management.startsWith('https:')
      ? new TlsAgent({ ...options, ...address.tls })
      : new Agent(options)
  }

  get<T>(path: string): Promise<T> {
    return this.#call('GET', path) as Promise<T>
  }

  /** Null where nothing of that name is. */
  async find<T>(path: string): Promise<T | null> {
    const { status, body } = await this.#send('GET', path)
    return status === 404 ? null : (this.#accepted(status, body, `GET ${shown(path)}`) as T)
  }

  async put(path: string, body: unknown): Promise<void> {
    await this.#call('PUT', path, body)
  }

  async post(path: string, body: unknown): Promise<unknown> {
    return this.#call('POST', path, body)
  }

  /** Tolerates absence. */
  async remove(path: string): Promise<void> {
    const { status, body } = await this.#send('DELETE', path)
    if (status !== 404) this.#accepted(status, body, `DELETE ${shown(path)}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#agent.destroy()
  }

  async #call(method: string, path: string, body?: unknown): Promise<unknown> {
    const answer = await this.#send(method, path, body)
    return this.#accepted(answer.status, answer.body, `${method} ${shown(path)}`)
  }

  #accepted(status: number, body: string, what: string): unknown {
    if (status < 300) return body === '' ? null : parsed(body, what)
    const where = `The management API of the ${this.#side}`
    if (status === 401) throw new ReplatformError('auth.failed', { message: `${where} refused the user (401).` })
    if (status === 403) throw new ReplatformError('auth.missing-rights', { message: `${where} refused ${what} (403).` })
    if (status >= 500) {
      throw new ReplatformError('connection.refused', { message: `${where} answered ${status} to ${what}.` })
    }
    throw new ReplatformError('rabbitmq.refused', {
      message: `${where} answered ${status} to ${what}: ${reasonOf(body)}.`,
    })
  }

  /**
   * While a broker boots its API answers 401 to everybody. The broker itself, which listens last, knows better: when it
   * is not there yet its own error is thrown, which passes; when it takes the user the API is asked again for a while.
   */
  async #send(method: string, path: string, body?: unknown): Promise<Answer> {
    const deadline = performance.now() + bootingMsMost
    for (;;) {
      const answer = await this.#sendOnce(method, path, body)
      if (answer.status !== 401 || isForGood(answer) || performance.now() > deadline) return answer
      await this.#login()
      await sleep(askAgainMs)
    }
  }

  #sendOnce(method: string, path: string, body?: unknown): Promise<Answer> {
    const { management, user, password } = this.#address
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    const send = management.startsWith('https:') ? requestTls : requestPlain
    const request = send(`${management}/api/${path}`, {
      method,
      agent: this.#agent,
      auth: `${user}:${password}`,
      signal: AbortSignal.timeout(withinMsMost),
      headers: body === undefined ? {} : { 'content-type': 'application/json' },
    })
    request.on('error', reject)
    request.on('response', (response) => {
      text(response).then((answer) => resolve({ status: response.statusCode ?? 0, body: answer }), reject)
    })
    request.end(body === undefined ? undefined : JSON.stringify(body))
    return promise.catch((thrown) => {
      throw this.#failure(thrown as Error & { code?: string })
    })
  }

  #failure(error: Error & { code?: string }): ReplatformError {
    const code = error.code ?? error.name
    const where = `the management API of the ${this.#side} (${new URL(this.#address.management).host})`
    if (/CERT|TLS|SSL|SELF_SIGNED|ISSUER/i.test(code)) {
      return new ReplatformError('tls.failed', { message: `No verified TLS with ${where}: ${code}.` })
    }
    if (/Timeout|ABORT/i.test(code)) {
      return new ReplatformError('connection.timeout', { message: `No answer from ${where} within 15 s.` })
    }
    return new ReplatformError('connection.refused', { message: `Nothing answers at ${where} (${code}).` })
  }
}

/** A name as a part of a path. */
export function segment(name: string): string {
  return encodeURIComponent(name)
}

/** The user lacks a tag that lets it ask. */
function isForGood({ body }: Answer): boolean {
  return /not (a )?management user/i.test(body)
}

function parsed(body: string, what: string): unknown {
  try {
    return JSON.parse(body)
  } catch (cause) {
    throw new ReplatformError('rabbitmq.unexpected-answer', { message: `No JSON came back from ${what}.`, cause })
  }
}

/** RabbitMQ's reason names objects and arguments, never messages. */
function reasonOf(body: string): string {
  try {
    const { reason, error } = JSON.parse(body) as { reason?: string; error?: string }
    return String(reason ?? error ?? 'no reason given').slice(0, 300)
  } catch {
    return 'no reason given'
  }
}

function shown(path: string): string {
  return path.split('?')[0] ?? path
}
