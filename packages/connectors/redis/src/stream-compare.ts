/** Compares a stream that is too large to be held, page by page: entries, groups, consumers, what is pending. */
import type { Connection } from './connection.ts'
import type { PendingEntry } from './rdb-stream.ts'
import {
  entriesAtOnce,
  entryPages,
  type GroupHead,
  pendingPages,
  readGroups,
  readHead,
  type StreamEntry,
} from './stream-pages.ts'

/** By the same rules as `isSameValue`: counters and times of consumers are no data. Both must be streams. */
export async function isSameStream(source: Connection, target: Connection, key: Buffer): Promise<boolean> {
  const [ours, theirs] = await Promise.all([readHead(source, key), readHead(target, key)])
  if (ours.length !== theirs.length || ours.lastId !== theirs.lastId) return false
  const atOnce = await entriesAtOnce(source, key)
  const entries = [entryPages(source, key, atOnce), entryPages(target, key, atOnce)] as const
  if (!(await arePagesSame(...entries, isSameEntry))) return false
  const [groups, others] = await Promise.all([readGroups(source, key), readGroups(target, key)])
  if (groups.length !== others.length) return false
  for (const [index, group] of groups.entries()) {
    if (!isSameGroup(group, others[index] as GroupHead)) return false
    const pending = [pendingPages(source, key, group.name), pendingPages(target, key, group.name)] as const
    if (!(await arePagesSame(...pending, isSamePending))) return false
  }
  return true
}

async function arePagesSame<T>(
  ours: AsyncGenerator<T[]>,
  theirs: AsyncGenerator<T[]>,
  isSame: (a: T, b: T) => boolean,
): Promise<boolean> {
  for (;;) {
    const [a, b] = await Promise.all([ours.next(), theirs.next()])
    if (a.done || b.done) return a.done === b.done
    if (a.value.length !== b.value.length) return false
    if (!a.value.every((item, index) => isSame(item, b.value[index] as T))) return false
  }
}

function isSameEntry(a: StreamEntry, b: StreamEntry): boolean {
  return a.id === b.id && areSameTexts(a.fields, b.fields)
}

function isSameGroup(a: GroupHead, b: GroupHead): boolean {
  const sorted = ({ consumers }: GroupHead) => [...consumers].sort(Buffer.compare)
  return a.name.equals(b.name) && a.lastId === b.lastId && areSameTexts(sorted(a), sorted(b))
}

function isSamePending(a: PendingEntry, b: PendingEntry): boolean {
  return a.id === b.id && a.deliveries === b.deliveries && a.consumer.equals(b.consumer)
}

function areSameTexts(a: readonly Buffer[], b: readonly Buffer[]): boolean {
  return a.length === b.length && a.every((text, index) => text.equals(b[index] as Buffer))
}
