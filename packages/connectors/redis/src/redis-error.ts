import type { ErrorCode } from '@replatform/core/error-catalogue'
import { ReplatformError } from '@replatform/core/errors'
import type { Side } from '@replatform/core/move'
import { RedisReplyError } from './resp-reader.ts'

export interface Place {
  readonly host: string
  readonly port: number
  readonly side: Side
}

/** Translates what the socket or the server said. Replies may quote arguments, so only their first words are kept. */
export function toRedisError(thrown: unknown, place: Place): ReplatformError {
  if (thrown instanceof ReplatformError) return thrown
  const where = `the ${place.side} ${place.host}:${place.port}`
  const error = (thrown instanceof AggregateError ? thrown.errors[0] : thrown) as Error & { code?: string }
  const make = (code: ErrorCode, message: string) => new ReplatformError(code, { message, cause: masked(error) })
  if (error instanceof RedisReplyError) return fromReply(error, where, make)
  const code = error.code ?? ''
  if (/^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN)$/.test(code)) {
    return make('connection.refused', `Nothing answers at ${where} (${code}).`)
  }
  if (code === 'ETIMEDOUT') return make('connection.timeout', `No answer from ${where} within 10 s.`)
  if (/^(ECONNRESET|EPIPE|ERR_STREAM)/.test(code)) return make('connection.lost', `The connection to ${where} broke.`)
  if (/CERT|TLS|SSL|SELF_SIGNED|ISSUER|VERIFY|EPROTO/i.test(code)) {
    return make('tls.failed', `No verified TLS with ${where}: ${tlsReason(code)} (${code}).`)
  }
  return make('internal', `Talking to ${where} failed: ${code || error.message}.`)
}

function tlsReason(code: string): string {
  if (code === 'CERT_HAS_EXPIRED') return 'its certificate has expired'
  if (code === 'CERT_NOT_YET_VALID') return 'its certificate is not valid yet'
  if (/ALTNAME/.test(code)) return 'its certificate is for another name'
  if (/SELF_SIGNED|ISSUER|VERIFY/.test(code)) return 'no authority that is trusted here has signed its certificate'
  return 'it does not seem to speak TLS there'
}

type Make = (code: ErrorCode, message: string) => ReplatformError

function fromReply(error: RedisReplyError, where: string, make: Make): ReplatformError {
  switch (error.code) {
    case 'WRONGPASS':
    case 'NOAUTH':
      return make('auth.failed', `Access to ${where} was refused: wrong user or password.`)
    case 'NOPERM':
      return make('auth.missing-rights', `A right is missing on ${where}: ${withoutArguments(error.message)}.`)
    case 'LOADING':
    case 'MASTERDOWN':
    case 'BUSY':
      return make('connection.refused', `${where} is not ready yet (${error.code}).`)
    case 'CLUSTERDOWN':
    case 'TRYAGAIN':
      return make('connection.refused', `The cluster of ${where} is not ready yet (${error.code}).`)
    case 'MOVED':
    case 'ASK':
      return make('redis.moved', `${where} no longer answers for a slot that was its own.`)
    case 'OOM':
      return make('target.full', `The memory of ${where} is full.`)
    default:
      if (/non local key/.test(error.message)) {
        return make('redis.slots-moved', `${where} no longer has all the slots that were its own.`)
      }
      if (/invalid (username-)?password|AUTH.*without any password/i.test(error.message)) {
        return make('auth.failed', `Access to ${where} was refused: wrong user or password.`)
      }
      return make('internal', `${where} answered ${withoutArguments(error.message)}.`)
  }
}

/** What stands in quotes may be a key or a value. */
export function withoutArguments(message: string): string {
  return message
    .replace(/, with args beginning with.*$/s, '')
    .replace(/'[^']*'(?! command)/g, "'…'")
    .replace(/\.$/, '')
}

function masked(error: Error & { code?: string }): Error {
  return new Error(`${error.code ?? ''} ${withoutArguments(error.message)}`.trim())
}
