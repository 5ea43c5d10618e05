/** Compares a value that is too large to be held, piece by piece. */
import type { Argument } from './command-buffer.ts'
import type { Connection } from './connection.ts'
import type { Follower } from './follower.ts'
import { toRedisError } from './redis-error.ts'
import { RedisReplyError, type RespValue } from './resp-reader.ts'
import { readOffset } from './server-info.ts'
import { isSameStream } from './stream-compare.ts'
import { isSameValue } from './value-digest.ts'

export interface LargeCompareOptions {
  /** The servers that hold the key, its database selected. */
  readonly source: Connection
  readonly target: Connection
  readonly key: Buffer
  /** Held by the caller. */
  readonly follower: Follower | null
}

interface Kind {
  readonly size: string
  /** Pieces by position; undefined for what only a cursor walks. */
  readonly range?: { readonly verb: string; readonly step: number }
  readonly scan?: string
  /** What a page of `scan` asks the other side. */
  readonly lookUp?: (key: Buffer, page: readonly Buffer[]) => Argument[]
  /** What that must answer. */
  readonly expected?: (page: readonly Buffer[]) => string[]
}

const kinds: Readonly<Record<string, Kind>> = {
  string: { size: 'STRLEN', range: { verb: 'GETRANGE', step: 1 << 20 } },
  list: { size: 'LLEN', range: { verb: 'LRANGE', step: 500 } },
  set: {
    size: 'SCARD',
    scan: 'SSCAN',
    lookUp: (key, page) => ['SMISMEMBER', key, ...page],
    expected: (page) => page.map(() => '1'),
  },
  hash: { size: 'HLEN', scan: 'HSCAN', lookUp: (key, page) => ['HMGET', key, ...evens(page)], expected: odds },
  zset: { size: 'ZCARD', scan: 'ZSCAN', lookUp: (key, page) => ['ZMSCORE', key, ...evens(page)], expected: odds },
}

/**
 * Whether the values are the same; deadlines are not looked at. Writes go on meanwhile on a source that is not fenced: the target is brought to the source's offset before, and what
 * changes during the look counts as different, once.
 */
export async function compareLarge({ source, target, key, follower }: LargeCompareOptions): Promise<boolean> {
  if (follower) await follower.applyUpTo(await readOffset(source))
  const ask = async (...args: Argument[]) => Promise.all([source.command(...args), target.command(...args)])
  const [ours, theirs] = (await ask('TYPE', key)).map(String)
  const kind = kinds[ours ?? '']
  if (ours !== theirs) return false
  if (ours === 'stream') return isSameStream(source, target, key)
  if (!kind) {
    const [a, b] = await ask('DUMP', key)
    return Buffer.isBuffer(a) && Buffer.isBuffer(b) && isSameValue(a, b)
  }
  const [size, other] = await ask(kind.size, key)
  if (size !== other) return false
  return kind.range ? compareRanges(ask, key, Number(size), kind.range) : compareMembers(source, target, key, kind)
}

async function compareRanges(
  ask: (...args: Argument[]) => Promise<RespValue[]>,
  key: Buffer,
  size: number,
  { verb, step }: { readonly verb: string; readonly step: number },
): Promise<boolean> {
  for (let at = 0; at < size; at += step) {
    const [a, b] = await ask(verb, key, at, at + step - 1)
    if (!isSame(a, b)) return false
  }
  return true
}

async function compareMembers(source: Connection, target: Connection, key: Buffer, kind: Kind): Promise<boolean> {
  let cursor = '0'
  do {
    const [next, page] = (await source.command(kind.scan as string, key, cursor, 'COUNT', 500)) as [Buffer, Buffer[]]
    cursor = String(next)
    if (page.length === 0) continue
    const answer = await target.command(...(kind.lookUp as NonNullable<Kind['lookUp']>)(key, page))
    if (answer instanceof RedisReplyError) throw toRedisError(answer, target.place)
    const expected = (kind.expected as NonNullable<Kind['expected']>)(page)
    const found = (answer as RespValue[]).map((value) =>
      value === null ? null : String(Buffer.isBuffer(value) ? value.toString('latin1') : value),
    )
    if (!expected.every((value, index) => value === found[index])) return false
  } while (cursor !== '0')
  return true
}

function isSame(a: RespValue | undefined, b: RespValue | undefined): boolean {
  if (Buffer.isBuffer(a) && Buffer.isBuffer(b)) return a.equals(b)
  if (!Array.isArray(a) || !Array.isArray(b)) return a === b
  return a.length === b.length && a.every((value, index) => isSame(value, b[index]))
}

function evens(page: readonly Buffer[]): Buffer[] {
  return page.filter((_, index) => index % 2 === 0)
}

function odds(page: readonly Buffer[]): string[] {
  return page.filter((_, index) => index % 2 === 1).map((value) => value.toString('latin1'))
}
