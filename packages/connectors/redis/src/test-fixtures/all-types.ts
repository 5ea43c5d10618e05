/** Puts at least one key of every type and encoding that a server knows on it, in several databases. */
import type { Argument } from '../command-buffer.ts'
import type { Connection } from '../connection.ts'

/** `version` of Redis: what is newer is left out. */
export async function fillAllTypes(connection: Connection, version = 7): Promise<void> {
  const commands: Argument[][] = [
    ['SELECT', 0],
    ['SET', 'string:plain', 'plain value'],
    ['SET', 'string:empty', ''],
    ['SET', 'string:binary', Buffer.from([0, 13, 10, 255, 128, 0])],
    ...[7, -128, 300, -32768, 70_000, -2_147_483_648, 5_000_000_000].map((n) => ['SET', `string:int:${n}`, n]),
    ['SET', 'string:large', noise(6_000)],
    ['SET', 'string:packed', `${'abcdefgh'.repeat(1_000)}${noise(3_000)}${'x'.repeat(9_000)}`],
    ['SET', 'string:deadline', 'soon', 'PX', 3_600_000],
    ['SET', '12345', 'a key that is a number'],
    ['RPUSH', 'list:small', 'a', '1', '-5000', '70000', '5000000000', 'x'.repeat(70)],
    // No two items alike, or its nodes would be packed to next to nothing.
    ['RPUSH', 'list:large', ...range(550, (i) => `item ${i} ${noise(11_000).slice(i * 20, i * 20 + 20)}`)],
    ['RPUSH', 'list:node', 'small', noise(12_000), 'small'],
    ['SADD', 'set:int16', ...range(50, (i) => i)],
    ['SADD', 'set:int64', 1, -5_000_000_000, '9223372036854775807'],
    ['SADD', 'set:small', 'a', 'b', 17],
    ['SADD', 'set:large', ...range(550, (i) => `member ${i}`)],
    ['HMSET', 'hash:small', 'f', 'v', 'n', 4096, 'm', -4096, 'big', '-9223372036854775808', 'empty', ''],
    ['HMSET', 'hash:large', ...range(550, (i) => `field ${i}`).flatMap((f, i) => [f, `value ${i}`])],
    ['ZADD', 'zset:small', 1, 'a', 1.5, 'b', '-inf', 'c', 'inf', 'd', 1e300, 'e', '-0', 'f', 0.1, 'g'],
    ['ZADD', 'zset:large', ...range(550, (i) => i * 1.1).flatMap((s, i) => [s, `member ${i}`])],
    ['PFADD', 'hll', ...range(500, (i) => i)],
    ['SETBIT', 'bitmap', 100_000, 1],
    ['GEOADD', 'geo', 105.8, 21.02, 'Ha Noi', 106.6, 10.8, 'Ho Chi Minh'],
    ...range(300, (i) => [
      'XADD',
      'stream',
      `${1_700_000_000_000 + i * 7}-${i % 3}`,
      'n',
      i,
      ...(i % 5 ? [] : ['extra', noise(30)]),
    ]),
    ['XADD', 'stream:empty', '5-1', 'a', 'b'],
    ['XDEL', 'stream:empty', '5-1'],
    ['XDEL', 'stream', '1700000000700-1', '1700000000007-1'],
    ['XGROUP', 'CREATE', 'stream', 'workers', '0'],
    ['XREADGROUP', 'GROUP', 'workers', 'ann', 'COUNT', 20, 'STREAMS', 'stream', '>'],
    ['XREADGROUP', 'GROUP', 'workers', 'bob', 'COUNT', 10, 'STREAMS', 'stream', '>'],
    ['XACK', 'stream', 'workers', '1700000000014-2'],
    // Pending with ann, and gone.
    ['XDEL', 'stream', '1700000000028-1'],
    ['XGROUP', 'CREATECONSUMER', 'stream', 'workers', 'idle'],
    ['XGROUP', 'CREATE', 'stream', 'late', '$'],
    ['FUNCTION', 'LOAD', 'REPLACE', "#!lua name=lib\nredis.register_function('f', function() return 1 end)"],
    ['SELECT', 3],
    ['SET', 'string:plain', 'the same key elsewhere'],
    ['SET', 'string:deadline', 'later', 'PX', 7_200_000],
    ['HMSET', 'hash:db3', 'a', 'b'],
    ['SELECT', 0],
  ]
  for (const command of commands) {
    if (sinceOf(command) <= version) await connection.command(...command)
  }
}

/** The version that the command came with. */
function sinceOf([name, verb]: readonly Argument[]): number {
  if (name === 'FUNCTION') return 7
  if (verb === 'CREATECONSUMER') return 6.2
  return String(name).startsWith('X') ? 5 : 0
}

function range<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index))
}

/** The same on every run, and hard to pack. */
function noise(length: number): string {
  let state = 0x2545f491 ^ length
  return Array.from({ length }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return String.fromCharCode(33 + ((state >> 16) % 90))
  }).join('')
}
