import type { Argument } from './command-buffer.ts'
import type { Connection } from './connection.ts'
import { toRedisError } from './redis-error.ts'
import { RedisReplyError } from './resp-reader.ts'

/** All in one stroke. Throws what the server refused, of the commands and of the transaction. */
export async function transact(connection: Connection, commands: readonly (readonly Argument[])[]): Promise<void> {
  if (commands.length === 0) return
  const replies = await connection.pipeline([['MULTI'], ...commands, ['EXEC']])
  const outcome = replies.at(-1)
  const answers = Array.isArray(outcome) ? outcome : []
  const failed = [...replies, ...answers].find((reply) => reply instanceof RedisReplyError)
  if (failed) throw toRedisError(failed, connection.place)
}
