/** Whether two DUMP payloads hold the same value, although servers may encode one value in many ways. */
import { createHash } from 'node:crypto'
import { decodeValue } from './rdb-elements.ts'
import type { StreamValue } from './rdb-stream.ts'

const footerBytes = 10

export function isSameValue(a: Buffer, b: Buffer): boolean {
  if (a.subarray(0, -footerBytes).equals(b.subarray(0, -footerBytes))) return true
  return digestPayload(a) === digestPayload(b)
}

/** The same for the same value, in whatever encoding and, where a type knows no order, in whatever order. */
export function digestPayload(payload: Buffer): string {
  const decoded = decodeValue(payload[0] as number, payload.subarray(1, -footerBytes))
  switch (decoded.kind) {
    case 'stream':
      return `stream:${digestStream(decoded.stream)}`
    case 'string':
    case 'list':
      return `${decoded.kind}:${digestOrdered(decoded.elements)}`
    case 'set':
      return `set:${digestUnordered(decoded.elements, 1)}`
    default:
      return `${decoded.kind}:${digestUnordered(decoded.elements, 2)}`
  }
}

function digestOrdered(elements: readonly Buffer[]): string {
  const hash = createHash('sha256')
  for (const element of elements) hash.update(`${element.length}:`).update(element)
  return hash.digest('hex')
}

/** Digests of groups of elements in the order of the digests. */
function digestUnordered(elements: readonly Buffer[], size: number): string {
  const digests: string[] = []
  for (let at = 0; at < elements.length; at += size) digests.push(digestOrdered(elements.slice(at, at + size)))
  return digestOrdered(digests.sort().map((digest) => Buffer.from(digest, 'latin1')))
}

/** Times at which consumers were last seen do not count: they are no data, and reading changes them. */
function digestStream({ entries, lastId, groups }: StreamValue): string {
  const parts: Buffer[] = [Buffer.from(lastId)]
  for (const { id, fields } of entries) parts.push(Buffer.from(`${id} ${fields.length}`), ...fields)
  for (const group of [...groups].sort((a, b) => a.name.compare(b.name))) {
    parts.push(group.name, Buffer.from(group.lastId))
    parts.push(...[...group.consumers].sort(Buffer.compare))
    const pending = [...group.pending].sort((a, b) => (a.id < b.id ? -1 : 1))
    for (const { id, consumer, deliveries } of pending) parts.push(Buffer.from(`${id} ${deliveries}`), consumer)
  }
  return digestOrdered(parts)
}
