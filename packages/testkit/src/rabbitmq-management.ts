import { requestJson } from './json-request.ts'

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
    const answer = await requestJson(`${this.url}/api/${path}`, { method, body, ...this.#access })
    if (answer.status >= 300) {
      throw new Error(`RabbitMQ answered ${answer.status} to ${method} ${path}: ${JSON.stringify(answer.body)}`)
    }
    return answer.body
  }

  /** Adds to what is there; what has the same name is replaced where RabbitMQ allows it. */
  async importDefinitions(definitions: RabbitmqDefinitions): Promise<void> {
    await this.call('POST', 'definitions', definitions)
  }
}
