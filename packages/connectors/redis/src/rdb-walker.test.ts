/**
 * Goal: the walker knows where every value of a real server ends, whatever the encoding and however the bytes arrive,
 * and damage ends in an error and never in a hang, a crash or memory without bound.
 * Method: a Redis with all encodings writes an RDB file; its values must be DUMP's own, byte for byte.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ReplatformError } from '@replatform/core/errors'
import { type RedisServer, startRedis } from '@replatform/testkit/redis-server'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openConnection } from './connection.ts'
import { decodeValue } from './rdb-elements.ts'
import { type RdbEntry, type RdbEvent, RdbWalker } from './rdb-walker.ts'
import { fillAllTypes } from './test-fixtures/all-types.ts'

let server: RedisServer
let file: Buffer
/** Of the newer server. */
let valkeyFile: Buffer

beforeAll(async () => {
  server = await startRedis()
  await using newer = await startRedis({ engine: 'valkey' })
  ;[file, valkeyFile] = [await fileOf(server), await fileOf(newer)]
})
afterAll(() => server[Symbol.asyncDispose]())

async function fileOf(server: RedisServer): Promise<Buffer> {
  await using connection = await openConnection({ url: server.url(), side: 'source' })
  await fillAllTypes(connection)
  await server.command('SAVE')
  return readFile(join(String(await server.setting('dir')), 'dump.rdb'))
}

/** Walks over pieces of the given size; the views are copied, as they do not outlive the next piece. */
function walk(rdb: Buffer, pieceBytes: number, options = {}): { events: RdbEvent[]; version: number } {
  const walker = new RdbWalker(options)
  const events: RdbEvent[] = []
  for (let at = 0; at < rdb.length; at += pieceBytes) {
    walker.push(rdb.subarray(at, at + pieceBytes))
    for (let event = walker.next(); event; event = walker.next()) {
      events.push(
        event.kind === 'entry' ? { ...event, key: Buffer.from(event.key), value: Buffer.from(event.value) } : event,
      )
      if (event.kind === 'end') return { events, version: walker.version }
    }
  }
  return { events, version: walker.version }
}

const entriesOf = (events: readonly RdbEvent[]) => events.filter((event): event is RdbEntry => event.kind === 'entry')

test.each([1, 7, 1024, 1 << 20])(
  'values are those of DUMP when the file comes in pieces of %i bytes',
  async (pieceBytes) => {
    const { events, version } = walk(file, pieceBytes)
    await using connection = await openConnection({ url: server.url(), side: 'source' })
    expect(events.at(-1)).toMatchObject({ kind: 'end', rest: Buffer.alloc(0) })
    const entries = entriesOf(events)
    expect(new Set(entries.map((entry) => entry.type)).size).toBe(9)
    for (const { db, key, type, value, expireAtMs } of entries) {
      await connection.command('SELECT', db)
      const dump = (await connection.command('DUMP', key)) as Buffer
      expect(Buffer.concat([Buffer.of(type), value]), key.toString()).toEqual(dump.subarray(0, -10))
      expect(dump.readUInt16LE(dump.length - 10)).toBe(version)
      expect(await connection.command('PEXPIRETIME', key)).toBe(expireAtMs ?? -1)
    }
    expect(entries.map((entry) => entry.db)).toContain(3)
  },
)

test('a large value comes in parts that give the same elements', async () => {
  const whole = new Map(entriesOf(walk(file, 1 << 20).events).map((entry) => [entry.key.toString(), entry]))
  const pieces = new Map<string, Buffer[]>()
  for (const event of walk(file, 1000, { partAbove: 2_000 }).events) {
    if (event.kind !== 'part') continue
    const key = event.key.toString()
    pieces.set(key, [...(pieces.get(key) ?? []), ...event.args.map((arg) => Buffer.from(arg))])
  }
  expect([...pieces.keys()].sort()).toEqual(
    expect.arrayContaining(['hash:large', 'list:large', 'set:large', 'zset:large', 'string:large', 'string:packed']),
  )
  for (const [key, elements] of pieces) {
    const entry = whole.get(key) as RdbEntry
    const decoded = decodeValue(entry.type, entry.value)
    if (decoded.kind === 'stream') throw new Error('Streams have no parts')
    expect(Buffer.concat(elements).equals(Buffer.concat([...decoded.elements])), key).toBe(true)
  }
})

test('what cannot be taken apart is refused by name before memory grows', () => {
  expect(() => walk(file, 1000, { partAbove: 2_000, refuseAbove: 4_000 })).toThrow(
    expect.objectContaining({ code: 'redis.value-too-large' }),
  )
})

test('a flipped bit is noticed by the checksum, a module by its name', () => {
  const flipped = Buffer.from(file)
  const at = flipped.indexOf('plain value')
  flipped[at] = (flipped[at] as number) ^ 1
  expect(() => walk(flipped, 1000)).toThrow(expect.objectContaining({ code: 'redis.rdb-malformed' }))
  const module = Buffer.concat([Buffer.from('REDIS0010'), Buffer.from([7, 1, 0x61, 0x81])])
  expect(() => walk(module, 1000)).toThrow(expect.objectContaining({ code: 'redis.module-value' }))
})

test('ten thousand damaged files end in values or a clear error', () => {
  const longest = Math.max(file.length, valkeyFile.length)
  const damage = fc.array(fc.tuple(fc.nat(longest - 1), fc.nat(255)), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(
      fc.constantFrom(file, valkeyFile),
      damage,
      fc.integer({ min: 1, max: longest }),
      fc.constantFrom(64, 2_000, 1 << 20),
      (sound, edits, end, partAbove) => {
        const damaged = Buffer.from(sound.subarray(0, end))
        for (const [at, byte] of edits) if (at < damaged.length) damaged[at] = byte
        try {
          for (const event of walk(damaged, 4096, { partAbove }).events) {
            if (event.kind === 'entry') decodeValue(event.type, event.value)
          }
        } catch (thrown) {
          if (!(thrown instanceof ReplatformError)) throw thrown
        }
      },
    ),
    { numRuns: 10_000 },
  )
}, 120_000)
