/** Lifts or lowers the deadlines of all keys of a target, on the target itself. */
import { ReplatformError } from '@replatform/core/errors'
import type { Connection } from './connection.ts'
import type { ControlKeys } from './control-keys.ts'
import { lift } from './deadline.ts'
import { toRedisError } from './redis-error.ts'
import { RedisReplyError } from './resp-reader.ts'
import { readKeyspace } from './server-info.ts'

const script = `
redis.call('SELECT', 0)
if redis.call('GET', KEYS[1]) ~= ARGV[5] then return redis.error_reply('SUPERSEDED by another mover') end
redis.call('SELECT', ARGV[6])
local page = redis.call('SCAN', ARGV[1], 'COUNT', ARGV[2])
local lift, lower = tonumber(ARGV[3]), ARGV[4] == 'lower'
for _, key in ipairs(page[2]) do
  local at = redis.call('PEXPIRETIME', key)
  if lower and at >= lift then redis.call('PEXPIREAT', key, string.format('%.0f', at - lift))
  elseif not lower and at > 0 and at < lift then redis.call('PEXPIREAT', key, string.format('%.0f', at + lift)) end
end
return page[1]`

const keysAtOnce = 2_000

export interface SweepOptions {
  readonly target: Connection
  readonly keys: ControlKeys
  readonly epoch: number
}

/** Idempotent. The target must be fenced and nobody may follow. Leaves database 0 selected. */
export async function sweepDeadlines(options: SweepOptions, to: 'lift' | 'lower'): Promise<void> {
  const { target } = options
  for (const db of (await readKeyspace(target)).keys()) {
    let cursor = '0'
    do cursor = await sweepPage(options, db, cursor, to)
    while (cursor !== '0')
  }
  await target.command('SELECT', 0)
}

/** One page, unless the epoch was raised. */
async function sweepPage(
  { target, keys, epoch }: SweepOptions,
  db: number,
  cursor: string,
  to: string,
): Promise<string> {
  const command = ['EVAL', script, 1, keys.epoch, cursor, keysAtOnce, lift, to, epoch, db]
  const [next] = await target.pipeline([command])
  if (!(next instanceof RedisReplyError)) return String(next)
  if (next.code !== 'SUPERSEDED') throw toRedisError(next, target.place)
  throw new ReplatformError('epoch.superseded', { message: `The target is no longer at epoch ${epoch}.` })
}
