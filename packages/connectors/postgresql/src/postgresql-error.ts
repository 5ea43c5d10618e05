import { ReplatformError } from '@replatform/core/errors'

interface ServerError {
  readonly code?: string
  readonly message: string
  readonly schema?: string
  readonly table?: string
  readonly constraint?: string
}

/**
 * Translates what `pg` or the socket threw. Detail, hint and context of a server's error are dropped on purpose: they
 * quote row values. `where` names the side, as `describe` writes it.
 */
export function toPostgresqlError(thrown: unknown, where: string): ReplatformError {
  if (thrown instanceof ReplatformError) return thrown
  const error = (thrown instanceof AggregateError ? thrown.errors[0] : thrown) as ServerError
  const code = error.code ?? ''
  const make = (name: ConstructorParameters<typeof ReplatformError>[0], message: string) =>
    new ReplatformError(name, { message, cause: sanitized(error) })

  if (code === 'ECONNREFUSED' || code === 'EHOSTUNREACH' || code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return make('connection.refused', `Nothing answers at ${where} (${code}).`)
  }
  if (code === 'ETIMEDOUT' || /timeout expired/.test(error.message)) {
    return make('connection.timeout', `No answer from ${where} within 10 s.`)
  }
  if (code === '28P01' || code === '28000') {
    return make('auth.failed', `Access to ${where} was refused: wrong user or password, or not allowed from here.`)
  }
  if (code === '3D000') return make('database.missing', `There is no database of that name at ${where}.`)
  if (code === '42501')
    return make('auth.missing-rights', `A right is missing on ${where}: ${firstLine(error.message)}.`)
  if (code === '53100' && where.startsWith('the source')) return make('source.full', `The disk of ${where} is full.`)
  if (code === '53100') return make('target.full', `The disk of ${where} is full.`)
  if (/SSL|certificate|TLS/i.test(error.message) && !/^\d/.test(code)) {
    return make('tls.failed', `No verified TLS with ${where}: ${firstLine(error.message)}.`)
  }
  if (isConnectionLoss(code, error.message)) return make('connection.lost', `The connection to ${where} broke.`)
  return make('internal', `${where} answered ${code || 'with an error'}: ${masked(error)}.`)
}

/** Class 08, shutdowns and crashes of the server, and sockets that went away. */
function isConnectionLoss(code: string, message: string): boolean {
  if (/^(08|57P0[1-5]|ECONNRESET|EPIPE|53300)/.test(code)) return true
  return /terminated unexpectedly|Connection ended|not queryable|Connection terminated|socket/i.test(message)
}

/** Messages of class 22 and 23 quote values (`invalid input syntax for type integer: "…"`); names are kept. */
function masked(error: ServerError): string {
  const place = [error.schema, error.table, error.constraint].filter(Boolean).join('.')
  // Data exceptions quote the value wherever they please.
  const text = firstLine(error.message)
    .replace(/: ".*"$/s, '')
    .replace(/"[^"]*"/g, (quoted) => (error.code?.startsWith('22') ? '"…"' : quoted))
  return place && !text.includes(place) ? `${text} (${place})` : text
}

function sanitized(error: ServerError): Error {
  return new Error(`${error.code ?? ''} ${masked(error)}`.trim())
}

function firstLine(text: string): string {
  return (text.split('\n', 1)[0] ?? '').replace(/\.$/, '')
}
