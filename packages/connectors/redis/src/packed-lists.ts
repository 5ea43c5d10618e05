/** The elements of what Redis packs into one string: listpack, ziplist, intset and zipmap. */
import { malformedRdb } from './rdb-format.ts'

/** Text of integers, views of strings. Throws `redis.rdb-malformed` where an element reaches beyond the string. */
export function listpackElements(packed: Buffer): Buffer[] {
  if (packed.length < 7) throw malformedRdb('a listpack is cut off')
  const elements: Buffer[] = []
  let at = 6
  while (byteAt(packed, at) !== 0xff) {
    const { element, size } = listpackElement(packed, at)
    elements.push(element)
    at += size + backLengthSize(size)
  }
  return elements
}

interface Element {
  readonly element: Buffer
  /** Of encoding and data. */
  readonly size: number
}

function listpackElement(packed: Buffer, at: number): Element {
  const first = byteAt(packed, at)
  if (first < 0x80) return integer(first, 1)
  if (first < 0xc0) return text(packed, at, 1, first & 0x3f)
  if (first < 0xe0) return integer(signed(((first & 0x1f) << 8) | byteAt(packed, at + 1), 13), 2)
  if (first < 0xf0) return text(packed, at, 2, ((first & 0x0f) << 8) | byteAt(packed, at + 1))
  switch (first) {
    case 0xf0:
      return text(packed, at, 5, slice(packed, at + 1, 4).readUInt32LE())
    case 0xf1:
      return integer(slice(packed, at + 1, 2).readInt16LE(), 3)
    case 0xf2:
      return integer(slice(packed, at + 1, 3).readIntLE(0, 3), 4)
    case 0xf3:
      return integer(slice(packed, at + 1, 4).readInt32LE(), 5)
    case 0xf4:
      return integer(slice(packed, at + 1, 8).readBigInt64LE(), 9)
    default:
      throw malformedRdb('a listpack holds an unknown encoding')
  }
}

/** Each element is followed by its own size, seven bits a byte. */
function backLengthSize(size: number): number {
  if (size <= 127) return 1
  if (size < 16_384) return 2
  if (size < 2_097_152) return 3
  return size < 268_435_456 ? 4 : 5
}

export function ziplistElements(packed: Buffer): Buffer[] {
  if (packed.length < 11) throw malformedRdb('a ziplist is cut off')
  const elements: Buffer[] = []
  let at = 10
  while (byteAt(packed, at) !== 0xff) {
    at += byteAt(packed, at) === 254 ? 5 : 1
    const { element, size } = ziplistElement(packed, at)
    elements.push(element)
    at += size
  }
  return elements
}

function ziplistElement(packed: Buffer, at: number): Element {
  const first = byteAt(packed, at)
  if (first < 0x40) return text(packed, at, 1, first)
  if (first < 0x80) return text(packed, at, 2, ((first & 0x3f) << 8) | byteAt(packed, at + 1))
  if (first < 0xc0) return text(packed, at, 5, slice(packed, at + 1, 4).readUInt32BE())
  switch (first) {
    case 0xc0:
      return integer(slice(packed, at + 1, 2).readInt16LE(), 3)
    case 0xd0:
      return integer(slice(packed, at + 1, 4).readInt32LE(), 5)
    case 0xe0:
      return integer(slice(packed, at + 1, 8).readBigInt64LE(), 9)
    case 0xf0:
      return integer(slice(packed, at + 1, 3).readIntLE(0, 3), 4)
    case 0xfe:
      return integer(slice(packed, at + 1, 1).readInt8(), 2)
    default:
      if (first < 0xf1 || first > 0xfd) throw malformedRdb('a ziplist holds an unknown encoding')
      return integer((first & 0x0f) - 1, 1)
  }
}

export function intsetElements(packed: Buffer): Buffer[] {
  const width = slice(packed, 0, 8).readUInt32LE(0)
  const count = packed.readUInt32LE(4)
  if (![2, 4, 8].includes(width)) throw malformedRdb('an intset has an unknown width')
  if (packed.length !== 8 + count * width) throw malformedRdb('an intset is cut off')
  return Array.from({ length: count }, (_, index) => {
    const at = 8 + index * width
    return Buffer.from(String(width === 8 ? packed.readBigInt64LE(at) : packed.readIntLE(at, width)))
  })
}

export function zipmapElements(packed: Buffer): Buffer[] {
  const elements: Buffer[] = []
  let at = 1
  while (byteAt(packed, at) !== 0xff) {
    const field = zipmapLength(packed, at)
    at += field.size
    elements.push(slice(packed, at, field.length))
    at += field.length
    const value = zipmapLength(packed, at)
    const free = byteAt(packed, at + value.size)
    at += value.size + 1
    elements.push(slice(packed, at, value.length))
    at += value.length + free
  }
  return elements
}

function zipmapLength(packed: Buffer, at: number): { readonly length: number; readonly size: number } {
  const first = byteAt(packed, at)
  if (first < 254) return { length: first, size: 1 }
  return { length: slice(packed, at + 1, 4).readUInt32LE(), size: 5 }
}

function text(packed: Buffer, at: number, head: number, length: number): Element {
  return { element: slice(packed, at + head, length), size: head + length }
}

function integer(value: number | bigint, size: number): Element {
  return { element: Buffer.from(String(value)), size }
}

function signed(value: number, bits: number): number {
  return value >= 2 ** (bits - 1) ? value - 2 ** bits : value
}

function byteAt(packed: Buffer, at: number): number {
  const byte = packed[at]
  if (byte === undefined) throw malformedRdb('a packed list is cut off')
  return byte
}

function slice(packed: Buffer, at: number, length: number): Buffer {
  if (at + length > packed.length) throw malformedRdb('an element reaches beyond its packed list')
  return packed.subarray(at, at + length)
}
