/** Finds again what an earlier process left of a spool. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ReplatformError } from '@replatform/core/errors'
import type { Lsn } from './lsn.ts'
import { type SegmentHead, SegmentReader } from './spool-segment.ts'

export interface Segment {
  readonly name: string
  readonly path: string
  readonly head: SegmentHead
}

export interface SpoolChain {
  /** From the one that holds the first transaction at or behind the start on; none where that is not there. */
  readonly segments: readonly Segment[]
  /** Everything committed before it is in them. */
  readonly end: Lsn
  /** Of the last one, as far as it can be read. */
  readonly bytes: number
}

const none: SpoolChain = { segments: [], end: 0n, bytes: 0 }
const suffix = '.spool'

/**
 * What is torn or damaged at the very end was not durable, or is missed by whoever compares `end` with what the source
 * was told; anywhere else it ends the chain there.
 */
export async function findChain(folder: string, key: Buffer, from: Lsn): Promise<SpoolChain> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(suffix)).sort()
  const found = new Map<string, Segment>()
  for (const file of names) {
    const name = file.slice(0, -suffix.length)
    const path = join(folder, file)
    const reader = await SegmentReader.open(path, name, key)
    if (reader) found.set(name, { name, path, head: reader.head })
    await reader?.close()
  }
  const segments: Segment[] = []
  for (let segment = [...found.values()].at(-1); segment; segment = found.get(segment.head.after?.name ?? '')) {
    segments.unshift(segment)
    if (segment.head.position <= from) break
  }
  const [first, last] = [segments[0], segments.at(-1)]
  if (!first || !last || first.head.position > from) return none
  return { segments, ...(await endOf(last, key)) }
}

async function endOf({ name, path, head }: Segment, key: Buffer): Promise<{ end: Lsn; bytes: number }> {
  const reader = await SegmentReader.open(path, name, key)
  if (!reader) return { end: head.position, bytes: 0 }
  let end = head.position
  for (let block = await reader.next(); block; block = await reader.next()) end = block.position
  await reader.close()
  return { end, bytes: reader.at }
}

export function spoolLost(what: string): ReplatformError {
  return new ReplatformError('postgresql.spool-lost', { message: `The spool of the change stream is lost: ${what}.` })
}
