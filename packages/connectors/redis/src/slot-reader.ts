/** The keys of one side whose servers answer for slots, as a comparison reads them. */
import type { Connection } from './connection.ts'
import { lowered } from './deadline.ts'
import { type KeyLook, type LookedAt, readSizes, requireFlags, scanKeys } from './key-look.ts'
import type { KeyReader } from './key-reader.ts'
import { keySlot, type SlotSet } from './key-slot.ts'
import { offsetOf, parseInfo } from './server-info.ts'

export interface SlotServer {
  readonly connection: Connection
  readonly slots: SlotSet
}

export interface SlotReaderOptions {
  readonly servers: readonly SlotServer[]
  /** The slots that are looked at. */
  readonly within: SlotSet
  readonly hasDeadlines: boolean
}

// A transaction of a cluster may touch one slot only. Nothing here writes.
const lookScript = `
local found = {}
for i = 2, #ARGV do
  found[#found + 1] = redis.call(ARGV[1], ARGV[i])
  found[#found + 1] = redis.call('DUMP', ARGV[i])
end
return {found, redis.call('TIME'), redis.call('INFO', 'replication')}`

export class SlotReader implements KeyReader {
  readonly hasDeadlines: boolean
  readonly #servers: readonly SlotServer[]
  readonly #within: SlotSet

  constructor({ servers, within, hasDeadlines }: SlotReaderOptions) {
    this.#servers = servers
    this.#within = within
    this.hasDeadlines = hasDeadlines
  }

  async databases(): Promise<ReadonlyMap<number, number>> {
    const sizes = await Promise.all(this.#servers.map(({ connection }) => connection.command('DBSIZE')))
    return new Map([[0, sizes.reduce((sum: number, size) => sum + Number(size), 0)]])
  }

  async *scan(db: number, signal: AbortSignal | undefined): AsyncGenerator<Buffer[]> {
    for (const { connection } of this.#servers) {
      for await (const keys of scanKeys(connection, db, signal)) {
        yield keys.filter((key) => this.#within.has(keySlot(key)))
      }
    }
  }

  sizes(db: number, keys: readonly Buffer[]): Promise<number[]> {
    return this.#each(keys, (connection, own) => readSizes(connection, db, own))
  }

  exist(_db: number, keys: readonly Buffer[]): Promise<boolean[]> {
    return this.#each(keys, async (connection, own) => {
      return requireFlags(connection, await connection.pipeline(own.map((key) => ['EXISTS', key])))
    })
  }

  async look(_db: number, keys: readonly Buffer[]): Promise<LookedAt> {
    const moment = { nowMs: 0, offset: 0 }
    const looks = await this.#each(keys, async (connection, own) => {
      const at = await lookInSlots(connection, own, this.hasDeadlines)
      Object.assign(moment, { nowMs: at.nowMs, offset: at.offset })
      return at.keys
    })
    return { keys: looks, ...moment }
  }

  async serverOf(_db: number, key: Buffer): Promise<Connection> {
    return this.#serverOf(key).connection
  }

  #serverOf(key: Buffer): SlotServer {
    const slot = keySlot(key)
    return this.#servers.find(({ slots }) => slots.has(slot)) ?? (this.#servers[0] as SlotServer)
  }

  /** Asks each server for its own keys; answers in the order of `keys`. */
  async #each<T>(
    keys: readonly Buffer[],
    ask: (connection: Connection, own: readonly Buffer[]) => Promise<readonly T[]>,
  ): Promise<T[]> {
    const byServer = Map.groupBy(keys.keys(), (index) => this.#serverOf(keys[index] as Buffer))
    const answers: T[] = []
    const asked = [...byServer].map(async ([{ connection }, indexes]) => {
      const own = await ask(
        connection,
        indexes.map((index) => keys[index] as Buffer),
      )
      for (const [at, index] of indexes.entries()) answers[index] = own[at] as T
    })
    await Promise.all(asked)
    return answers
  }
}

async function lookInSlots(connection: Connection, keys: readonly Buffer[], hasDeadlines: boolean): Promise<LookedAt> {
  const verb = hasDeadlines ? 'PEXPIRETIME' : 'PTTL'
  const answer = await connection.command('EVAL', lookScript, 0, verb, ...keys)
  const [found, time, info] = answer as [(number | Buffer | null)[], Buffer[], Buffer]
  const nowMs = Number(String(time[0])) * 1000 + Math.floor(Number(String(time[1])) / 1000)
  const looks = keys.map((_, index): KeyLook => {
    const at = found[2 * index] as number
    const payload = found[2 * index + 1]
    const deadlineMs = at < 0 ? null : hasDeadlines ? lowered(at) : nowMs + at
    return { payload: Buffer.isBuffer(payload) ? payload : null, deadlineMs }
  })
  return { keys: looks, nowMs, offset: offsetOf(parseInfo(String(info))) }
}
