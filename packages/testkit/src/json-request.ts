import { request as requestPlain } from 'node:http'
import { request as requestTls } from 'node:https'
import { text } from 'node:stream/consumers'

export interface JsonRequest {
  readonly method?: string
  /** Sent as JSON; a string goes as it is, one document a line. */
  readonly body?: unknown
  readonly user?: string
  readonly password?: string
  /** The only authority that is trusted; `fetch` has no way to name one. */
  readonly ca?: string | undefined
  readonly headers?: Readonly<Record<string, string>>
  /** Until the whole answer is there; a minute unless said. */
  readonly withinMs?: number
}

export interface JsonAnswer {
  readonly status: number
  /** `undefined` when there is no body; the text itself when it is not JSON. */
  readonly body: unknown
}

/** One HTTP request on a connection of its own. Does not judge the status. */
export async function requestJson(url: string, options: JsonRequest = {}): Promise<JsonAnswer> {
  const { method = 'GET', body, user, password, ca, headers, withinMs = 60_000 } = options
  const lines = typeof body === 'string'
  const sent = body === undefined || lines ? body : JSON.stringify(body)
  const { promise, resolve, reject } = Promise.withResolvers<JsonAnswer>()
  const send = url.startsWith('https:') ? requestTls : requestPlain
  const request = send(url, {
    method,
    agent: false,
    signal: AbortSignal.timeout(withinMs),
    ...(ca === undefined ? {} : { ca }),
    ...(user === undefined ? {} : { auth: `${user}:${password}` }),
    headers: {
      ...(sent === undefined ? {} : { 'content-type': lines ? 'application/x-ndjson' : 'application/json' }),
      ...headers,
    },
  })
  request.on('error', reject)
  request.on('response', (response) => {
    text(response).then((answer) => resolve({ status: response.statusCode ?? 0, body: parsed(answer) }), reject)
  })
  request.end(sent)
  return promise
}

function parsed(answer: string): unknown {
  if (answer === '') return undefined
  try {
    return JSON.parse(answer)
  } catch {
    return answer
  }
}
