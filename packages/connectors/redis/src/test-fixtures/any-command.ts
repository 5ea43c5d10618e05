/** Commands of every type, with deadlines, as a property draws them. */
import fc from 'fast-check'
import type { Argument } from '../command-buffer.ts'

const text = fc.oneof(fc.constantFrom('x', '', '12', '-7', 'long '.repeat(30)), fc.string({ maxLength: 8 }))
const n = fc.integer({ min: -50, max: 5_000 })
const soon = fc.integer({ min: 50, max: 500_000 })
const command = (...parts: (string | number | fc.Arbitrary<string | number>)[]): fc.Arbitrary<Argument[]> =>
  fc.tuple(...parts.map((part) => (typeof part === 'object' ? part : fc.constant(part))))

export interface DrawnCommand {
  readonly db: number
  readonly command: Argument[]
}

export function anyCommand(keys: readonly string[]): fc.Arbitrary<DrawnCommand> {
  const key = fc.constantFrom(...keys)
  return fc.record({
    db: fc.constantFrom(0, 0, 1),
    command: fc.oneof(
      command('SET', key, text),
      command('SET', key, text, 'PX', soon),
      command('SET', key, text, 'KEEPTTL'),
      command('SETEX', key, 100, text),
      command('PSETEX', key, soon, text),
      command('GETEX', key, 'PX', soon),
      command('GETEX', key, 'PERSIST'),
      command('GETDEL', key),
      command('APPEND', key, text),
      command('INCRBY', key, n),
      command('INCRBYFLOAT', key, '0.5'),
      command('SETRANGE', key, fc.nat(100), text),
      command('SETBIT', key, fc.nat(100), 1),
      command('BITFIELD', key, 'SET', 'u8', 0, fc.nat(200)),
      command('BITOP', 'OR', key, key, key),
      command('PEXPIRE', key, soon),
      command('EXPIRE', key, 200),
      command('PERSIST', key),
      command('DEL', key),
      command('RENAME', key, key),
      command('COPY', key, key, 'DB', 1, 'REPLACE'),
      command('MOVE', key, 1),
      command('LPUSH', key, text, text),
      command('RPOP', key),
      command('LINSERT', key, 'BEFORE', text, text),
      command('LMOVE', key, key, 'LEFT', 'RIGHT'),
      command('LMPOP', 1, key, 'LEFT', 'COUNT', 2),
      command('LTRIM', key, 0, 5),
      command('SADD', key, text, n),
      command('SPOP', key),
      command('SMOVE', key, key, text),
      command('SUNIONSTORE', key, key, key),
      command('SORT', key, 'ALPHA', 'STORE', key),
      command('HSET', key, text, text),
      command('HINCRBY', key, text, n),
      command('HDEL', key, text),
      command('ZADD', key, n, text),
      command('ZINCRBY', key, '1.25', text),
      command('ZPOPMIN', key),
      command('ZRANGESTORE', key, key, 0, 3),
      command('ZUNIONSTORE', key, 2, key, key),
      command('GEOADD', key, '105.8', '21.0', text),
      command('PFADD', key, text),
      command('PFMERGE', key, key),
      command('XADD', key, '*', 'f', text),
      command('XADD', key, 'MAXLEN', '~', 3, '*', 'f', text),
      command('XGROUP', 'CREATE', key, 'g', '0', 'MKSTREAM'),
      command('XREADGROUP', 'GROUP', 'g', 'me', 'COUNT', 2, 'STREAMS', key, '>'),
      command('XAUTOCLAIM', key, 'g', 'you', 0, '0'),
      command('XGROUP', 'DESTROY', key, 'g'),
      command('MSET', key, text, key, text),
      command('SWAPDB', 0, 1),
      command('FLUSHDB'),
      command('EVAL', "return redis.call('SET', KEYS[1], ARGV[1], 'EX', 100)", 1, key, text),
    ),
  })
}
