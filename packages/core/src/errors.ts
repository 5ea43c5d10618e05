import { catalogue, type ErrorCode } from './error-catalogue.ts'

/** Who can do something about an error: the same call again, a person, or nobody. */
export type Retry = 'retry' | 'operator' | 'terminal'

export interface ErrorDetails {
  /** One sentence on what happened, with names and figures but never row values or secrets. */
  readonly message: string
  /** Overrides the catalogue's sentence on what was left as it was. */
  readonly untouched?: string
  /** Overrides the catalogue's sentence on what to do next. */
  readonly next?: string
  /** Position in the source's log, where it is known, in the engine's own notation. */
  readonly position?: string
  readonly cause?: unknown
}

/**
 * The one error of the product: a stable code, what happened, what is untouched, what to do next.
 * `retry` comes from the catalogue, so that code and behaviour cannot drift apart.
 */
export class ReplatformError extends Error {
  override readonly name = 'ReplatformError'
  readonly code: ErrorCode
  readonly retry: Retry
  readonly untouched: string
  readonly next: string
  readonly position: string | undefined

  constructor(code: ErrorCode, details: ErrorDetails) {
    super(details.message, { cause: details.cause })
    const entry = catalogue[code]
    this.code = code
    this.retry = entry.retry
    this.untouched = details.untouched ?? entry.untouched
    this.next = details.next ?? entry.next
    this.position = details.position
  }

  toJSON(): SerializedError {
    const { code, retry, message, untouched, next, position } = this
    return { code, retry, message, untouched, next, ...(position === undefined ? {} : { position }) }
  }
}

/** A `ReplatformError` as it crosses a process boundary or appears under `--json`. */
export interface SerializedError {
  readonly code: ErrorCode
  readonly retry: Retry
  readonly message: string
  readonly untouched: string
  readonly next: string
  readonly position?: string
}

/** Rebuilds an error that came from another process; unknown codes become `internal`. */
export function deserializeError(data: SerializedError): ReplatformError {
  const code = data.code in catalogue ? data.code : 'internal'
  return new ReplatformError(code, data)
}

/** Wraps whatever was thrown; a `ReplatformError` passes unchanged. */
export function toReplatformError(thrown: unknown): ReplatformError {
  if (thrown instanceof ReplatformError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new ReplatformError('internal', { message, cause: thrown })
}

/** Stops a migration rather than let it go on wrong. Stays on in production. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new ReplatformError('internal.invariant', { message })
}
