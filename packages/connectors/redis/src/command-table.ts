/** The commands that a source replicates, and which of their arguments are keys that they write. */

/** First and last argument that is a key, and the step between them; a last below zero counts from the end. */
export type KeyRange = readonly [first: number, last: number, step: number]

const first: KeyRange = [1, 1, 1]
const second: KeyRange = [2, 2, 1]
const firstTwo: KeyRange = [1, 2, 1]
const all: KeyRange = [1, -1, 1]
const everyOther: KeyRange = [1, -1, 2]

const byRange: readonly (readonly [KeyRange, string])[] = [
  [first, 'set setnx append setrange setbit incr decr incrby decrby incrbyfloat getset setex psetex bitfield'],
  [first, 'hset hsetnx hmset hincrby hincrbyfloat hdel'],
  [first, 'lpush rpush lpushx rpushx lpop rpop linsert lset lrem ltrim'],
  [first, 'sadd srem spop sinterstore sunionstore sdiffstore'],
  [first, 'zadd zincrby zrem zremrangebyrank zremrangebyscore zremrangebylex zpopmin zpopmax'],
  [first, 'zunionstore zinterstore zdiffstore zrangestore pfadd pfmerge pfcount geoadd geosearchstore'],
  [first, 'xadd xdel xtrim xsetid xack xclaim xautoclaim'],
  [first, 'persist expire pexpire expireat pexpireat getex getdel restore move'],
  [second, 'bitop copy xgroup'],
  [firstTwo, 'rename renamenx smove lmove rpoplpush blmove brpoplpush'],
  [all, 'del unlink'],
  [everyOther, 'mset msetnx'],
]

const ranges = new Map(byRange.flatMap(([range, names]) => names.split(' ').map((name) => [name, range] as const)))

/** Undefined for a command that is not known to write exactly these. */
export function writtenKeys(name: string): KeyRange | undefined {
  return ranges.get(name)
}

/** Write their first argument and nothing else, and name no deadline. */
const plainNames = new Set(
  byRange
    .filter(([range]) => range === first)
    .flatMap(([, names]) => names.split(' '))
    .filter((name) => !/^(set|setex|psetex|getex|persist|p?expire(at)?|restore|move)$/.test(name)),
)
const plainBySpelling = new Map<string, boolean>()
/** Of what a server may ever send; a damaged stream must not fill the memory with names. */
const mostSpellings = 1_000

/** Whether a command can go to the target as it came. `name` as it was sent. */
export function isPlain(name: string, count: number): boolean {
  const known = plainBySpelling.get(name)
  if (known !== undefined) return known && count > 1
  const lower = name.toLowerCase()
  // SET with a deadline, or with another condition, has more arguments.
  if (lower === 'set') return count === 3
  const isKnownPlain = plainNames.has(lower)
  if (plainBySpelling.size < mostSpellings) plainBySpelling.set(name, isKnownPlain)
  return isKnownPlain && count > 1
}

export function keysOf(range: KeyRange, args: readonly Buffer[]): Buffer[] {
  const [from, to, step] = range
  const last = to < 0 ? args.length + to : to
  const keys: Buffer[] = []
  for (let index = from; index <= last && index < args.length; index += step) keys.push(args[index] as Buffer)
  return keys
}
