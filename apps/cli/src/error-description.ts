import { ReplatformError } from '@replatform/core/errors'

/**
 * Only what our own errors say goes into a log. Drivers quote rows in their messages and fields, so of their errors
 * it takes the name, the code and where in the program it happened.
 */
export function describeError(error: unknown): object {
  if (error instanceof ReplatformError) return { ...error.toJSON(), cause: describeCause(error.cause) }
  return describeCause(error) ?? {}
}

function describeCause(cause: unknown, depth = 0): object | undefined {
  if (!(cause instanceof Error) || depth > 4) return undefined
  if (cause instanceof ReplatformError) return cause.toJSON()
  const { code } = cause as NodeJS.ErrnoException
  return { name: cause.name, code, at: framesOf(cause), cause: describeCause(cause.cause, depth + 1) }
}

/** The places of a stack, without the message that it begins with. */
export function framesOf(error: Error): string[] {
  const lines = (error.stack ?? '').split('\n').map((line) => line.trim())
  return lines.filter((line) => line.startsWith('at ')).slice(0, 12)
}
