/** Whether a source lets the mover's user follow it as a replica; asked without beginning to. */
import { readCategories, readUsers, replicaRights } from './acl-rules.ts'
import type { Connection } from './connection.ts'
import { RedisReplyError } from './resp-reader.ts'

const needed = [
  ['psync', '?', '-1'],
  ['replconf', 'ack', '0'],
] as const

export async function mayReplicate(source: Connection): Promise<boolean> {
  const [known] = await source.pipeline([['COMMAND', 'INFO', 'psync']])
  // A managed service that hides the command knows none of that name.
  if (Array.isArray(known) && known[0] === null) return false
  const [me] = await source.pipeline([['ACL', 'WHOAMI']])
  if (me instanceof RedisReplyError || me === undefined) return true
  const trials = await source.pipeline(needed.map((command) => ['ACL', 'DRYRUN', String(me), ...command]))
  if (!trials.some((reply) => reply instanceof RedisReplyError)) return trials.every((reply) => String(reply) === 'OK')
  // Before 7.0 nothing can be tried: the rules say it, where they may be read.
  const [list] = await source.pipeline([['ACL', 'LIST']])
  if (list instanceof RedisReplyError) return true
  const user = (await readUsers(source)).find(({ name }) => name === String(me))
  if (!user) return true
  const rights = replicaRights(user, await readCategories(source, [user]))
  return rights.includes('psync') && rights.includes('replconf')
}
