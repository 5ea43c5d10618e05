import { Agent, type IncomingMessage, request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'

/** What asking led to. `not-done`: certainly nothing happened. `unknown`: it may or may not have. */
export type Reply =
  | { readonly result: 'answered'; readonly status: number; readonly body: Buffer }
  | { readonly result: 'not-done' | 'unknown' }

export interface ClientOptions {
  readonly url: string
  readonly timeoutMs: number
  readonly attempts: number
}

export interface HttpRequest {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON. */
  readonly body?: object | undefined
}

/** Asks a service over HTTP, patiently: the same request with the same key until it is answered. */
export class PatientClient implements Disposable {
  readonly #options: ClientOptions
  // More sockets than this would only queue in the service instead of here.
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 512 })
  #retries = 0

  constructor(options: ClientOptions) {
    this.#options = options
  }

  get retries(): number {
    return this.#retries
  }

  /** Never rejects. Gives up after the configured attempts; `unknown` if any of them may have reached the store. */
  async ask(asked: HttpRequest): Promise<Reply> {
    let mayHaveHappened = false
    for (let attempt = 0; attempt < this.#options.attempts; attempt++) {
      if (attempt > 0) {
        this.#retries++
        await delay(100 * 2 ** attempt)
      }
      const reply = await this.askOnce(asked)
      if (reply.result === 'answered') return reply
      mayHaveHappened ||= reply.result === 'unknown'
    }
    return { result: mayHaveHappened ? 'unknown' : 'not-done' }
  }

  async askOnce(asked: HttpRequest): Promise<Reply> {
    try {
      const { status, bytes } = await this.#send(asked)
      if (status < 500) return { result: 'answered', status, body: bytes }
      return { result: saysNotDone(bytes) ? 'not-done' : 'unknown' }
    } catch (error) {
      const refused = error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED'
      return { result: refused ? 'not-done' : 'unknown' }
    }
  }

  [Symbol.dispose](): void {
    this.#agent.destroy()
  }

  async #send({ method = 'POST', path, headers, body }: HttpRequest): Promise<{ status: number; bytes: Buffer }> {
    const signal = AbortSignal.timeout(this.#options.timeoutMs)
    const all = { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const options = { method, agent: this.#agent, headers: all, signal }
      const sending = request(new URL(path, this.#options.url), options, resolve).on('error', reject)
      sending.end(body === undefined ? undefined : JSON.stringify(body))
    })
    const parts: Buffer[] = []
    for await (const part of response) parts.push(part)
    return { status: response.statusCode ?? 0, bytes: Buffer.concat(parts) }
  }
}

function saysNotDone(body: Buffer): boolean {
  try {
    const value: unknown = JSON.parse(body.toString())
    return typeof value === 'object' && value !== null && 'outcome' in value && value.outcome === 'not-done'
  } catch {
    return false
  }
}
