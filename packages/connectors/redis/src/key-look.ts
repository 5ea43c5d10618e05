/** Keys as they stand on one side: their value's payload and their deadline. */
import type { Argument } from './command-buffer.ts'
import type { Connection } from './connection.ts'
import { lowered } from './deadline.ts'
import { toRedisError } from './redis-error.ts'
import { RedisReplyError, type RespValue } from './resp-reader.ts'
import { offsetOf, parseInfo } from './server-info.ts'

export interface KeyLook {
  /** Null where there is no such key. */
  readonly payload: Buffer | null
  /** By that side's clock and not lifted; null for a key without one. */
  readonly deadlineMs: number | null
}

export interface LookedAt {
  readonly keys: readonly KeyLook[]
  /** That side's clock. */
  readonly nowMs: number
  /** Of that side's replication stream, at the very moment of the look. */
  readonly offset: number
}

/** All at one moment. `hasDeadlines`: the server is 7.0 or later and tells deadlines, not only what is left of them. */
export async function lookAtKeys(
  connection: Connection,
  db: number,
  keys: readonly Buffer[],
  hasDeadlines: boolean,
): Promise<LookedAt> {
  const verb = hasDeadlines ? 'PEXPIRETIME' : 'PTTL'
  const commands: Argument[][] = keys.flatMap((key) => [
    [verb, key],
    ['DUMP', key],
  ])
  const replies = await connection.pipeline([
    ['SELECT', db],
    ['MULTI'],
    ...commands,
    ['TIME'],
    ['INFO', 'replication'],
    ['EXEC'],
  ])
  const answers = requireAnswers(connection, replies)
  const [seconds, micros] = answers[commands.length] as Buffer[]
  const nowMs = Number(String(seconds)) * 1000 + Math.floor(Number(String(micros)) / 1000)
  return {
    keys: keys.map((_, index) => {
      const time = answers[2 * index] as number
      const payload = answers[2 * index + 1]
      const deadlineMs = time < 0 ? null : hasDeadlines ? lowered(time) : nowMs + time
      return { payload: Buffer.isBuffer(payload) ? payload : null, deadlineMs }
    }),
    nowMs,
    offset: offsetOf(parseInfo(String(answers[commands.length + 1]))),
  }
}

/** Of one key, in the database that is selected; null for none. */
export async function readDeadline(connection: Connection, key: Buffer, hasDeadlines: boolean): Promise<number | null> {
  if (hasDeadlines) {
    const at = Number(await connection.command('PEXPIRETIME', key))
    return at < 0 ? null : lowered(at)
  }
  const [left, time] = await connection.pipeline([['PTTL', key], ['TIME']])
  const [seconds, micros] = time as Buffer[]
  const nowMs = Number(String(seconds)) * 1000 + Math.floor(Number(String(micros)) / 1000)
  return Number(left) < 0 ? null : nowMs + Number(left)
}

function requireAnswers(connection: Connection, replies: readonly RespValue[]): RespValue[] {
  const outcome = replies.at(-1)
  const answers = Array.isArray(outcome) ? outcome : []
  const failed = [...replies, ...answers].find((reply) => reply instanceof RedisReplyError)
  if (failed) throw toRedisError(failed, connection.place)
  return answers
}

/** Keys in the order of SCAN, a page at a time; one may come twice. Ends before `signal` is looked at again. */
export async function* scanKeys(connection: Connection, db: number, signal?: AbortSignal): AsyncGenerator<Buffer[]> {
  let cursor = '0'
  do {
    signal?.throwIfAborted()
    const [selected, page] = await connection.pipeline([
      ['SELECT', db],
      ['SCAN', cursor, 'COUNT', 1000],
    ])
    if (selected instanceof RedisReplyError) throw toRedisError(selected, connection.place)
    if (!Array.isArray(page)) throw toRedisError(page, connection.place)
    cursor = String(page[0])
    yield page[1] as Buffer[]
  } while (cursor !== '0')
}

/** Answers of 0 and 1; any other is a fault: a server that no longer has the key's slot says nothing about the key. */
export function requireFlags(connection: Connection, replies: readonly RespValue[]): boolean[] {
  const failed = replies.find((reply) => typeof reply !== 'number')
  if (failed !== undefined) throw toRedisError(failed, connection.place)
  return replies.map((reply) => reply !== 0)
}

/** About the bytes that each key takes on that server; 0 for none. */
export async function readSizes(connection: Connection, db: number, keys: readonly Buffer[]): Promise<number[]> {
  const commands = keys.map((key) => ['MEMORY', 'USAGE', key, 'SAMPLES', 5] as const)
  const [, ...sizes] = await connection.pipeline([['SELECT', db], ...commands])
  // Servers before 4.0 do not tell the memory of a key, but the length of its snapshot.
  if (sizes[0] instanceof RedisReplyError) return readLengths(connection, keys)
  return sizes.map((size) => (typeof size === 'number' ? size : 0))
}

async function readLengths(connection: Connection, keys: readonly Buffer[]): Promise<number[]> {
  const replies = await connection.pipeline(keys.map((key) => ['DEBUG', 'OBJECT', key]))
  return replies.map((reply) => Number(/serializedlength:(\d+)/.exec(String(reply))?.[1] ?? 0))
}
