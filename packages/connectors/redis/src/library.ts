/** Libraries of functions: no key, and the same on every server. */
import type { Argument } from './command-buffer.ts'
import type { Connection } from './connection.ts'
import { toRedisError } from './redis-error.ts'
import { RedisReplyError } from './resp-reader.ts'

/** Carries out a replicated FUNCTION so that it may come twice. */
export async function changeLibraries(target: Connection, args: readonly Argument[]): Promise<void> {
  const [reply] = await target.pipeline([repeatable(args)])
  if (!(reply instanceof RedisReplyError)) return
  const isGone = String(args[1]).toLowerCase() === 'delete' && /not found/i.test(reply.message)
  if (!isGone) throw toRedisError(reply, target.place)
}

/** All that the source has, over what the target has of the same name. Nothing where the source knows no functions. */
export async function copyLibraries(source: Connection, target: Connection): Promise<void> {
  const [list] = await source.pipeline([['FUNCTION', 'LIST', 'WITHCODE']])
  if (!Array.isArray(list)) return
  for (const library of list) {
    const fields = Array.isArray(library) ? library : []
    const code = fields[fields.findIndex((field) => String(field) === 'library_code') + 1]
    if (Buffer.isBuffer(code)) await changeLibraries(target, ['FUNCTION', 'LOAD', code])
  }
}

function repeatable(args: readonly Argument[]): readonly Argument[] {
  switch (String(args[1]).toLowerCase()) {
    case 'load':
      return ['FUNCTION', 'LOAD', 'REPLACE', args.at(-1) as Argument]
    case 'restore':
      return args.length > 3 && /^flush$/i.test(String(args[3])) ? args : [...args.slice(0, 3), 'REPLACE']
    default:
      return args
  }
}
