/**
 * The rig's own door in front of a search server. Elasticsearch and OpenSearch come here without their security
 * plugins: what asks for a password, speaks TLS and refuses requests is this and not they.
 */
import { timingSafeEqual } from 'node:crypto'
import {
  Agent,
  createServer,
  type IncomingMessage,
  type RequestListener,
  request as requestBackend,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import type { ServerCertificate } from './certificate-authority.ts'

export interface SearchGatewayOptions {
  readonly backend: { readonly host: string; readonly port: number }
  readonly certificate: ServerCertificate | undefined
  /** Who gets in; everybody when it is not said. */
  readonly login?: { readonly user: string; readonly password: string } | undefined
  readonly refuse?: RefusalRule | undefined
}

/** What the server would be asked. */
export interface SearchRequest {
  readonly method: string
  /** Decoded, without the empty ones that the server ignores as well. */
  readonly segments: readonly string[]
  readonly bodyBytes: number
  readonly body: () => Promise<string>
}

export interface Refusal {
  readonly status: number
  readonly message: string
}

export type RefusalRule = (request: SearchRequest) => Promise<Refusal | undefined>

export class SearchGateway implements AsyncDisposable {
  readonly host = '127.0.0.1'
  readonly #options: SearchGatewayOptions
  readonly #server: Server
  readonly #agent = new Agent({ keepAlive: true })

  private constructor(options: SearchGatewayOptions) {
    this.#options = options
    const { certificate } = options
    const listener: RequestListener = (request, response) => {
      this.#answer(request, response).catch(() => {
        // As from a server that died: no answer at all.
        request.socket.destroy()
      })
    }
    this.#server = certificate
      ? createTlsServer({ cert: certificate.certificate, key: certificate.key }, listener)
      : createServer(listener)
  }

  static async start(options: SearchGatewayOptions): Promise<SearchGateway> {
    const gateway = new SearchGateway(options)
    await new Promise<void>((resolve, reject) => {
      gateway.#server.once('error', reject)
      gateway.#server.listen({ host: gateway.host, port: 0 }, resolve)
    })
    return gateway
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.#server.closeAllConnections()
    await closed
    this.#agent.destroy()
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { login, refuse } = this.#options
    if (login && !knows(login, request.headers.authorization)) {
      response.setHeader('www-authenticate', 'Basic realm="rig"')
      return sendMessage(response, { status: 401, message: 'The rig wants a user and the right password' })
    }
    let body: Buffer | undefined
    const refusal = await refuse?.({
      method: request.method ?? 'GET',
      segments: segmentsOf(request.url ?? '/'),
      bodyBytes: Number(request.headers['content-length'] ?? 0),
      body: async () => {
        body ??= await buffer(request)
        return body.toString('utf8')
      },
    })
    if (refusal) return sendMessage(response, refusal)
    await this.#forward(request, response, body)
  }

  async #forward(request: IncomingMessage, response: ServerResponse, body: Buffer | undefined): Promise<void> {
    const { authorization: _, connection: __, ...headers } = request.headers
    const { backend } = this.#options
    const forwarded = requestBackend({
      host: backend.host,
      port: backend.port,
      agent: this.#agent,
      method: request.method,
      path: request.url,
      headers,
    })
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      forwarded.once('response', resolve)
      forwarded.once('error', reject)
    })
    if (body) forwarded.end(body)
    else request.pipe(forwarded)
    const answer = await answered
    const { connection: ___, ...answerHeaders } = answer.headers
    response.writeHead(answer.statusCode ?? 502, answerHeaders)
    await pipeline(answer, response)
  }
}

function knows({ user, password }: { readonly user: string; readonly password: string }, header = ''): boolean {
  const expected = Buffer.from(`Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`)
  const given = Buffer.from(header)
  return given.length === expected.length && timingSafeEqual(given, expected)
}

function segmentsOf(url: string): string[] {
  const [path = ''] = url.split('?')
  return path.split('/').filter(Boolean).map(decodeURIComponent)
}

function sendMessage(response: ServerResponse, { status, message }: Refusal): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ Message: message }))
}
