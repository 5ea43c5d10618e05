/** A stream of a live server page by page, for one that is too large to be held. Reading it changes nothing there. */
import type { Connection } from './connection.ts'
import { toMap } from './flow-store.ts'
import type { PendingEntry, StreamGroup, StreamId } from './rdb-stream.ts'
import type { RespValue } from './resp-reader.ts'
import { readNowMs } from './server-clock.ts'

export interface StreamEntry {
  readonly id: StreamId
  readonly fields: readonly Buffer[]
}

export interface StreamHead {
  readonly length: number
  readonly lastId: StreamId
  /** Null before 7.0. */
  readonly entriesAdded: string | null
  readonly maxDeletedId: StreamId | null
}

export type GroupHead = Pick<StreamGroup, 'name' | 'lastId' | 'entriesRead' | 'consumers'>

const pageBytes = 2 * 1024 * 1024
const mostAtOnce = 500

/** The key must be a stream. */
export async function readHead(server: Connection, key: Buffer): Promise<StreamHead> {
  const fields = toMap(await server.command('XINFO', 'STREAM', key))
  return {
    length: Number(fields.get('length')),
    lastId: fields.get('last-generated-id') ?? '0-0',
    entriesAdded: fields.get('entries-added') ?? null,
    maxDeletedId: fields.get('max-deleted-entry-id') ?? null,
  }
}

/** How many entries make a page that fits into memory, if they are alike. */
export async function entriesAtOnce(server: Connection, key: Buffer): Promise<number> {
  const [usage, length] = await server.pipeline([
    ['MEMORY', 'USAGE', key],
    ['XLEN', key],
  ])
  const each = Number(usage) / Math.max(Number(length), 1)
  return Number.isFinite(each) ? Math.min(Math.max(Math.floor(pageBytes / Math.max(each, 1)), 1), mostAtOnce) : 1
}

/** In order; the last page is empty. */
export async function* entryPages(server: Connection, key: Buffer, atOnce: number): AsyncGenerator<StreamEntry[]> {
  for (let from = '-'; ; ) {
    const page = (await server.command('XRANGE', key, from, '+', 'COUNT', atOnce)) as [Buffer, Buffer[]][]
    const entries = page.map(([id, fields]) => ({ id: String(id), fields }))
    yield entries
    const last = entries.at(-1)
    if (!last) return
    from = behind(last.id)
  }
}

export async function readGroups(server: Connection, key: Buffer): Promise<GroupHead[]> {
  const groups: GroupHead[] = []
  for (const reply of (await server.command('XINFO', 'GROUPS', key)) as RespValue[]) {
    const name = fieldOf(reply, 'name') as Buffer
    const read = fieldOf(reply, 'entries-read')
    const consumers = (await server.command('XINFO', 'CONSUMERS', key, name)) as RespValue[]
    groups.push({
      name,
      lastId: String(fieldOf(reply, 'last-delivered-id')),
      entriesRead: read === null || read === undefined ? null : BigInt(String(read)),
      consumers: consumers.map((consumer) => fieldOf(consumer, 'name') as Buffer),
    })
  }
  return groups.sort((a, b) => a.name.compare(b.name))
}

/** What consumers of the group have not acknowledged, in the order of ids; the last page is empty. */
export async function* pendingPages(server: Connection, key: Buffer, group: Buffer): AsyncGenerator<PendingEntry[]> {
  const nowMs = await readNowMs(server)
  for (let from = '-'; ; ) {
    const page = (await server.command('XPENDING', key, group, from, '+', mostAtOnce)) as [
      Buffer,
      Buffer,
      number,
      number,
    ][]
    yield page.map(([id, consumer, idleMs, deliveries]) => ({
      id: String(id),
      consumer,
      deliveries,
      deliveredAtMs: BigInt(Math.round(nowMs - idleMs)),
    }))
    const last = page.at(-1)
    if (!last) return
    from = behind(String(last[0]))
  }
}

/** Before 6.2 no range leaves out its first id. */
function behind(id: StreamId): StreamId {
  const [ms = '0', sequence = '0'] = id.split('-')
  const next = BigInt(sequence) + 1n
  return next < 2n ** 64n ? `${ms}-${next}` : `${BigInt(ms) + 1n}-0`
}

function fieldOf(reply: RespValue, name: string): RespValue | undefined {
  const list = reply as RespValue[]
  const at = list.findIndex((value, index) => index % 2 === 0 && String(value) === name)
  return at < 0 ? undefined : list[at + 1]
}
