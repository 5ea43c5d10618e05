/** The commands that build a stream which is too large to be held, from a live server, page by page. */

import { ReplatformError } from '@replatform/core/errors'
import type { Argument } from './command-buffer.ts'
import type { Connection } from './connection.ts'
import { byId, groupHeadCommands, pendingCommands } from './native-commands.ts'
import type { StreamId } from './rdb-stream.ts'
import { entriesAtOnce, entryPages, pendingPages, readGroups, readHead, type StreamEntry } from './stream-pages.ts'

/** Ids of entries that are gone and pending all the same. */
const mostGone = 100_000
const idsAtOnce = 500

/**
 * In the order in which they must be carried out; `to` must not exist. As in native-commands.ts, entries that are gone
 * and still pending stand there while the groups are made.
 */
export async function* streamPieces(source: Connection, key: Buffer, to: Buffer): AsyncGenerator<Argument[][]> {
  const { lastId, entriesAdded, maxDeletedId, length } = await readHead(source, key)
  const groups = await readGroups(source, key)
  const gone: StreamId[] = []
  for (const { name } of groups) gone.push(...(await findGone(source, key, name)))
  const standIns = [...new Set(gone)].map((id) => ({ id, fields: [Buffer.of(), Buffer.of()] })).sort(byId)
  const isEmpty = length === 0 && standIns.length === 0
  if (isEmpty) yield [['XADD', to, 'MAXLEN', 0, lastId === '0-0' ? '0-1' : lastId, 'x', 'y']]
  for await (const page of entryPages(source, key, await entriesAtOnce(source, key))) {
    yield withStandIns(page, standIns).map(({ id, fields }) => ['XADD', to, id, ...fields])
  }
  for (const group of groups) {
    yield [...groupHeadCommands(to, group)].map((command) => [...command])
    for await (const page of pendingPages(source, key, group.name)) {
      yield [...pendingCommands(to, group.name, page)].map((command) => [...command])
    }
  }
  const ids = [...new Set(gone)]
  for (let at = 0; at < ids.length; at += idsAtOnce) yield [['XDEL', to, ...ids.slice(at, at + idsAtOnce)]]
  const counts = entriesAdded === null ? [] : ['ENTRIESADDED', entriesAdded, 'MAXDELETEDID', maxDeletedId ?? '0-0']
  yield [['XSETID', to, lastId, ...counts]]
}

/** Takes those that belong before the end of the page; all of them behind the last page, which is empty. */
function withStandIns(page: StreamEntry[], standIns: StreamEntry[]): StreamEntry[] {
  const last = page.at(-1)
  const until = last ? standIns.findIndex((standIn) => byId(last, standIn) < 0) : -1
  const own = standIns.splice(0, until < 0 ? standIns.length : until)
  return own.length === 0 ? page : [...page, ...own].sort(byId)
}

async function findGone(source: Connection, key: Buffer, group: Buffer): Promise<StreamId[]> {
  const gone: StreamId[] = []
  for await (const page of pendingPages(source, key, group)) {
    const replies = await source.pipeline(page.map(({ id }) => ['XRANGE', key, id, id]))
    gone.push(...page.flatMap(({ id }, index) => ((replies[index] as unknown[]).length === 0 ? [id] : [])))
    if (gone.length <= mostGone) continue
    throw new ReplatformError('redis.value-too-large', {
      message: `A large stream has more than ${mostGone} entries that are deleted and still pending.`,
    })
  }
  return gone
}
