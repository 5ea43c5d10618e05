import { type JsonRequest, requestJson } from './json-request.ts'

/** What `GET /api/definitions` gives and `POST /api/definitions` takes. */
export type RabbitmqDefinitions = Readonly<Record<string, unknown>>

/** The HTTP API of the management plugin, as one user sees it. */
export class RabbitmqManagement {
  readonly url: string
  readonly #access: { readonly user: string; readonly password: string; readonly ca?: string | undefined }

  constructor(
    url: string,
    access: { readonly user: string; readonly password: string; readonly ca?: string | undefined },
  ) {
    this.url = url
    this.#access = access
  }

  /** Answers the body, if there is one; throws with the server's reason when it refuses. */
  async call(method: string, path: string, body?: unknown): Promise<unknown> {
    return this.#ask({ method, path, body })
  }

  /** Throws unless something listens there. Does not wait long for an answer: it may not be RabbitMQ that is asked. */
  async checkListener(port: number): Promise<void> {
    await this.#ask({ path: `health/checks/port-listener/${port}`, withinMs: 5_000 })
  }

  /** Adds to what is there; what has the same name is replaced where RabbitMQ allows it. */
  async importDefinitions(definitions: RabbitmqDefinitions): Promise<void> {
    await this.call('POST', 'definitions', definitions)
  }

  async #ask({ path, ...request }: JsonRequest & { readonly path: string }): Promise<unknown> {
    const { status, body } = await requestJson(`${this.url}/api/${path}`, { ...request, ...this.#access })
    if (status < 300) return body
    throw new Error(`RabbitMQ answered ${status} to ${request.method ?? 'GET'} ${path}: ${JSON.stringify(body)}`)
  }
}
