/**
 * Damaged snapshots of Redis 7 and Valkey 8 and damaged streams, by the million: each ends in values or in an error of
 * the catalogue, soon, and within a mover's memory. The seed that is logged gives the same damage again, to snapshots that differ in their times.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { encodeCommand } from '@replatform/connector-redis/command-buffer'
import { rewriteCommand } from '@replatform/connector-redis/command-rewriter'
import { decodeValue } from '@replatform/connector-redis/rdb-elements'
import { RdbWalker } from '@replatform/connector-redis/rdb-walker'
import { StreamUnits } from '@replatform/connector-redis/stream-units'
import { ReplatformError } from '@replatform/core/errors'
import { startRedis } from '@replatform/testkit/redis-server'
import type { SoakOptions } from './soak.ts'

const slowestMs = 5_000
const mostHeldMiB = 300

export async function soakRedisFuzz({ inputs, seed, log }: SoakOptions): Promise<object> {
  // As the product starts a mover.
  setFlagsFromString('--max-old-space-size=160')
  const snapshots = [await snapshotOfAllTypes('redis'), await snapshotOfAllTypes('valkey')] as const
  const stream = streamOfCommands()
  const random = new Random(seed)
  const counts = { seed, inputs: 0, inValues: 0, inErrors: 0, slowestMs: 0, heldMiB: 0, peakRssMiB: 0 }
  const codes = new Map<string, number>()
  while (counts.inputs < inputs) {
    const isSnapshot = counts.inputs % 2 === 0
    const damaged = damage(isSnapshot ? random.pick(snapshots) : stream, random)
    const startedAt = performance.now()
    try {
      if (isSnapshot) walk(damaged, random)
      else follow(damaged, random)
      counts.inValues += 1
    } catch (thrown) {
      if (!(thrown instanceof ReplatformError))
        throw new Error(`Input ${counts.inputs} of seed ${seed}`, { cause: thrown })
      counts.inErrors += 1
      codes.set(thrown.code, (codes.get(thrown.code) ?? 0) + 1)
    }
    counts.slowestMs = Math.max(counts.slowestMs, Math.round(performance.now() - startedAt))
    if (counts.slowestMs > slowestMs)
      throw new Error(`Input ${counts.inputs} of seed ${seed} took ${counts.slowestMs} ms`)
    // What was let go is given back between two turns of the event loop.
    if (++counts.inputs % 1_000 === 0) await setImmediate()
    if (counts.inputs % 50_000 === 0 || counts.inputs === inputs) {
      counts.heldMiB = Math.max(counts.heldMiB, heldMiB())
      counts.peakRssMiB = Math.round(process.resourceUsage().maxRSS / 1_024)
      log(
        `${counts.inputs} inputs: ${counts.inErrors} in errors, slowest ${counts.slowestMs} ms, ${counts.heldMiB} MiB`,
      )
      if (counts.heldMiB > mostHeldMiB)
        throw new Error(`${counts.heldMiB} MiB after ${counts.inputs} inputs of seed ${seed}`)
    }
  }
  return { ...counts, codes: Object.fromEntries(codes) }
}

/** Values and buffers, garbage included; pages that the allocator keeps for later do not grow with the inputs. */
function heldMiB(): number {
  const { heapUsed, external } = process.memoryUsage()
  return Math.round((heapUsed + external) / 2 ** 20)
}

/** Each value is taken apart as for an older target. */
function walk(damaged: Buffer, random: Random): void {
  const walker = new RdbWalker({ partAbove: random.pick([64, 2_000, 1 << 20]) })
  for (let at = 0; at < damaged.length; at += 4_096) {
    walker.push(damaged.subarray(at, at + 4_096))
    for (let event = walker.next(); event; event = walker.next()) {
      if (event.kind === 'end') return
      if (event.kind === 'entry') decodeValue(event.type, event.value)
    }
  }
}

function follow(damaged: Buffer, random: Random): void {
  const units = new StreamUnits(0)
  const pieceBytes = 1 + random.below(200)
  for (let at = 0; at < damaged.length; at += pieceBytes) {
    units.push({ data: damaged.subarray(at, at + pieceBytes), receivedAtMs: 0 })
    for (let unit = units.next(); unit; unit = units.next()) {
      for (const command of unit.commands) rewriteCommand(command.args, 0)
    }
  }
}

/** Up to eight bytes changed, and often cut off. */
function damage(sound: Buffer, random: Random): Buffer {
  const end = random.below(3) === 0 ? 1 + random.below(sound.length) : sound.length
  const damaged = Buffer.from(sound.subarray(0, end))
  for (let edits = 1 + random.below(8); edits > 0; edits--) damaged[random.below(end)] = random.below(256)
  return damaged
}

async function snapshotOfAllTypes(engine: 'redis' | 'valkey'): Promise<Buffer> {
  await using server = await startRedis({ engine })
  const many = (count: number, make: (n: number) => string[]) => Array.from({ length: count }, (_, n) => make(n)).flat()
  const commands: string[][] = [
    ['SET', 'plain', 'value', 'PX', '3600000'],
    ['SET', 'number', '12345'],
    ['SET', 'packed', 'abc'.repeat(2_000)],
    ['RPUSH', 'list', ...many(200, (n) => [`item ${n}`])],
    ['SADD', 'integers', ...many(50, (n) => [String(n)])],
    ['SADD', 'set', ...many(600, (n) => [`member ${n}`])],
    ['HSET', 'small', 'a', '1', 'b', '2'],
    ['HSET', 'hash', ...many(600, (n) => [`field ${n}`, `value ${n}`])],
    ['ZADD', 'sorted', ...many(600, (n) => [String(n / 7), `member ${n}`])],
    ['ZADD', 'sorted small', '1', 'a', '2.5', 'b'],
    ...Array.from({ length: 40 }, (_, n) => ['XADD', 'stream', `${1_700_000_000_000 + n}-1`, 'n', String(n)]),
    ['XGROUP', 'CREATE', 'stream', 'group', '0'],
    ['XREADGROUP', 'GROUP', 'group', 'consumer', 'COUNT', '10', 'STREAMS', 'stream', '>'],
    ['SAVE'],
  ]
  for (const command of commands) await server.command(...(command as [string, ...string[]]))
  return readFile(join(String(await server.setting('dir')), 'dump.rdb'))
}

function streamOfCommands(): Buffer {
  const commands = [
    ['SELECT', 0],
    ['SET', 'key', 'value'],
    ['SET', 'key', 'value', 'PXAT', 1_900_000_000_000],
    ['MULTI'],
    ['DEL', 'a', 'b'],
    ['HSET', 'h', 'f', 'v'],
    ['EXEC'],
    ['PEXPIREAT', 'k', 17],
    ['RESTORE', 'k', 0, 'payload', 'ABSTTL'],
    ['PING'],
  ]
  return Buffer.concat(commands.map((command) => encodeCommand(command)))
}

/** xorshift32. */
class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed | 0 || 1
  }

  below(limit: number): number {
    this.#state ^= this.#state << 13
    this.#state ^= this.#state >>> 17
    this.#state ^= this.#state << 5
    return (this.#state >>> 0) % limit
  }

  pick<T>(items: readonly [T, ...T[]]): T {
    return items[this.below(items.length)] ?? items[0]
  }
}
