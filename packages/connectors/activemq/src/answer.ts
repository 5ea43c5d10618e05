/** Answers of the broker are waited for with a bound: one that never comes would hold up everything behind it. */
import { type EventEmitter, once } from 'node:events'
import { ReplatformError } from '@replatform/core/errors'

/** A broker that is only busy answers within seconds. */
const answerWithinMs = 15_000

interface Asked {
  /** What was asked for, for people. */
  readonly what: string
  readonly withinMs?: number | undefined
}

/** What the event brings. Throws `activemq.no-answer` when it does not come in time. */
export async function answerOf(emitter: EventEmitter, event: string, asked: Asked): Promise<unknown[]> {
  const abort = new AbortController()
  try {
    return await answered(once(emitter, event, { signal: abort.signal }), asked)
  } finally {
    abort.abort()
  }
}

/** Throws `activemq.no-answer` when it takes longer than that. */
export async function answered<T>(answer: Promise<T>, { what, withinMs = answerWithinMs }: Asked): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    late.reject(
      new ReplatformError('activemq.no-answer', { message: `No answer of ActiveMQ in ${withinMs} ms: ${what}.` }),
    )
  }, withinMs)
  answer.catch(() => undefined)
  try {
    return await Promise.race([answer, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
