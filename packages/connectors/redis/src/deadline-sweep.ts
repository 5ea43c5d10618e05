/** Lifts or lowers deadlines of a target, on the target itself: of all keys, of those that are far, or of some. */
import { ReplatformError } from '@replatform/core/errors'
import type { Argument } from './command-buffer.ts'
import type { Connection } from './connection.ts'
import type { ControlKeys } from './control-keys.ts'
import { lift } from './deadline.ts'
import { toRedisError } from './redis-error.ts'
import { RedisReplyError, type RespValue } from './resp-reader.ts'
import { readKeyspace } from './server-info.ts'

export interface SweepOptions {
  readonly target: Connection
  readonly keys: Pick<ControlKeys, 'epoch'>
  readonly epoch: number
}

/** What every script begins with: nothing is done once the epoch was raised. */
const head = `
redis.call('SELECT', 0)
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('SUPERSEDED by another mover') end
redis.call('SELECT', ARGV[2])
local lift = tonumber(ARGV[3])
local function set(key, at) redis.call('PEXPIREAT', key, string.format('%.0f', at)) end
`

const pageScript = `${head}
local page = redis.call('SCAN', ARGV[4], 'COUNT', ARGV[5])
local lower = ARGV[6] == 'lower'
for _, key in ipairs(page[2]) do
  local at = redis.call('PEXPIRETIME', key)
  if lower and at >= lift then set(key, at - lift)
  elseif not lower and at > 0 and at < lift then set(key, at + lift) end
end
return page[1]`

const farScript = `${head}
local page = redis.call('SCAN', ARGV[4], 'COUNT', ARGV[5])
local time = redis.call('TIME')
local from = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[6])
local near = {}
for _, key in ipairs(page[2]) do
  local at = redis.call('PEXPIRETIME', key)
  local isLifted = at >= lift
  local own = isLifted and at - lift or at
  if at > 0 and own > from then
    if isLifted then set(key, own) end
  elseif at > 0 then
    if not isLifted then set(key, at + lift) end
    near[#near + 1] = key
  end
end
return {page[1], near}`

const someScript = `${head}
for i = 4, #ARGV do
  local at = redis.call('PEXPIRETIME', ARGV[i])
  if at >= lift then set(ARGV[i], at - lift) end
end`

const keysAtOnce = 2_000

/** Idempotent. Nobody may look at the target as though it were settled. Leaves database 0 selected. */
export async function sweepDeadlines(options: SweepOptions, to: 'lift' | 'lower'): Promise<void> {
  for (const db of (await readKeyspace(options.target)).keys()) {
    let cursor = '0'
    do cursor = String(await run(options, db, pageScript, [cursor, keysAtOnce, to]))
    while (cursor !== '0')
  }
  await options.target.command('SELECT', 0)
}

/**
 * Lowers what is further away than `horizonMs` from the moment that it is looked at, while somebody follows; lifts what
 * is nearer, and tells those keys. Leaves database 0 selected.
 */
export async function lowerFarDeadlines(
  options: SweepOptions,
  horizonMs: number,
  onNear: (db: number, key: Buffer) => void,
): Promise<void> {
  for (const db of (await readKeyspace(options.target)).keys()) {
    let cursor = '0'
    do {
      const reply = await run(options, db, farScript, [cursor, keysAtOnce, horizonMs])
      const [next, near] = reply as [Buffer, Buffer[]]
      for (const key of near) onNear(db, key)
      cursor = String(next)
    } while (cursor !== '0')
  }
  await options.target.command('SELECT', 0)
}

/** Lowers those of the keys that are lifted; the others, and those that are gone, stay as they are. */
export async function lowerDeadlines(options: SweepOptions, db: number, keys: readonly Buffer[]): Promise<void> {
  for (let at = 0; at < keys.length; at += keysAtOnce) {
    await run(options, db, someScript, keys.slice(at, at + keysAtOnce))
  }
  await options.target.command('SELECT', 0)
}

async function run(
  { target, keys, epoch }: SweepOptions,
  db: number,
  script: string,
  args: readonly Argument[],
): Promise<RespValue> {
  const [reply = null] = await target.pipeline([['EVAL', script, 1, keys.epoch, epoch, db, lift, ...args]])
  if (!(reply instanceof RedisReplyError)) return reply
  if (reply.code !== 'SUPERSEDED') throw toRedisError(reply, target.place)
  throw new ReplatformError('epoch.superseded', { message: `The target is no longer at epoch ${epoch}.` })
}
