import type { ErrorCode } from '@replatform/core/error-catalogue'
import { ReplatformError } from '@replatform/core/errors'
import type { Side } from '@replatform/core/move'

export interface Place {
  readonly host: string
  readonly port: number
  readonly side: Side
}

/** The broker closed a connection or a channel. Its text names objects, never messages. */
export class AmqpClosed extends Error {
  readonly replyCode: number

  constructor(replyCode: number, text: string) {
    super(text)
    this.replyCode = replyCode
  }
}

/**
 * There is no such queue. A queue whose node is down or that is still recovering answers with the same code, and must
 * never be taken for one that is empty or gone.
 */
export function isNoQueue(thrown: unknown): boolean {
  const cause = thrown instanceof ReplatformError ? thrown.cause : null
  return cause instanceof AmqpClosed && cause.replyCode === 404 && cause.message.startsWith('NOT_FOUND - no queue ')
}

/** Somebody consumes there, so that nobody can do so alone; or somebody does so alone. */
export function isInUse(thrown: unknown): boolean {
  const cause = thrown instanceof ReplatformError ? thrown.cause : null
  return cause instanceof AmqpClosed && cause.replyCode === 403 && cause.message.includes('in exclusive use')
}

/** Translates what the socket or the broker said. */
export function toAmqpError(thrown: unknown, place: Place): ReplatformError {
  if (thrown instanceof ReplatformError) return thrown
  const where = `the ${place.side} ${place.host}:${place.port}`
  const error = (thrown instanceof AggregateError ? thrown.errors[0] : thrown) as Error & { code?: string }
  const make = (code: ErrorCode, message: string) => new ReplatformError(code, { message, cause: error })
  if (error instanceof AmqpClosed) return fromBroker(error, where, make)
  const code = error.code ?? ''
  if (/^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN)$/.test(code)) {
    return make('connection.refused', `Nothing answers at ${where} (${code}).`)
  }
  if (code === 'ETIMEDOUT') return make('connection.timeout', `No answer from ${where} in time.`)
  if (/^(ECONNRESET|EPIPE|ERR_STREAM)/.test(code)) return make('connection.lost', `The connection to ${where} broke.`)
  if (/CERT|TLS|SSL|SELF_SIGNED|ISSUER/i.test(code))
    return make('tls.failed', `No verified TLS with ${where}: ${code}.`)
  return make('connection.lost', `The connection to ${where} ended: ${code || error.message}.`)
}

type Make = (code: ErrorCode, message: string) => ReplatformError

function fromBroker(error: AmqpClosed, where: string, make: Make): ReplatformError {
  const said = `${error.replyCode} ${error.message}`.slice(0, 300)
  switch (error.replyCode) {
    case 403:
      if (/Login was refused|PLAIN login refused/i.test(error.message)) {
        return make('auth.failed', `Access to ${where} was refused: wrong user or password.`)
      }
      return make('auth.missing-rights', `A right is missing on ${where}: ${said}.`)
    case 530:
      // A node that has just booted listens before it has recovered every virtual host.
      if (/ is down$/i.test(error.message)) {
        return make('connection.lost', `The virtual host on ${where} does not answer yet: ${said}.`)
      }
      return make('auth.missing-rights', `The user has no access to the virtual host on ${where}: ${said}.`)
    case 404:
      if (/inaccessible|time ?out|stopped|not available|leader/i.test(error.message)) {
        return make('connection.lost', `A queue of ${where} does not answer yet: ${said}.`)
      }
      return make('rabbitmq.refused', `${where} answered ${said}.`)
    case 320:
    case 541:
      return make('connection.lost', `${where} closed the connection: ${said}.`)
    default:
      return make('rabbitmq.refused', `${where} answered ${said}.`)
  }
}
