/** Slots of a cluster: which one a key belongs to, and sets of them. */

export const slotCount = 16_384

/** CRC16 of the cluster specification (XMODEM: polynomial 0x1021, begins with 0). */
const table = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  return crc & 0xffff
})

/** Only what stands between the first `{` and the next `}` counts, where anything stands there. */
export function keySlot(key: Buffer): number {
  let [from, to] = [0, key.length]
  const open = key.indexOf(0x7b)
  if (open >= 0) {
    const close = key.indexOf(0x7d, open + 1)
    if (close > open + 1) [from, to] = [open + 1, close]
  }
  let crc = 0
  for (let at = from; at < to; at++) {
    crc = ((crc << 8) & 0xffff) ^ (table[((crc >> 8) ^ (key[at] as number)) & 0xff] as number)
  }
  return crc & (slotCount - 1)
}

/** First and last, both included, in rising order. */
export type SlotRange = readonly [first: number, last: number]

export class SlotSet {
  readonly ranges: readonly SlotRange[]

  constructor(ranges: readonly SlotRange[]) {
    this.ranges = [...ranges].sort(([a], [b]) => a - b)
  }

  static readonly all = new SlotSet([[0, slotCount - 1]])

  get first(): number {
    return this.ranges[0]?.[0] ?? 0
  }

  get size(): number {
    return this.ranges.reduce((sum, [from, to]) => sum + to - from + 1, 0)
  }

  has(slot: number): boolean {
    return this.ranges.some(([from, to]) => slot >= from && slot <= to)
  }

  overlaps(other: SlotSet): boolean {
    return this.ranges.some(([from, to]) => other.ranges.some(([a, b]) => a <= to && b >= from))
  }

  /** The same for the same set: `0-5460,9000-9000`. */
  toString(): string {
    const joined: [number, number][] = []
    for (const [from, to] of this.ranges) {
      const last = joined.at(-1)
      if (last && last[1] + 1 === from) last[1] = to
      else joined.push([from, to])
    }
    return joined.map(([from, to]) => `${from}-${to}`).join(',')
  }
}

const tags = new Map<number, string>()

/** A short text that belongs to the slot, for keys of our own that must lie beside others. */
export function tagOf(slot: number): string {
  for (let n = tags.size === 0 ? 0 : searched; !tags.has(slot); n++) {
    const text = n.toString(36)
    const of = keySlot(Buffer.from(text))
    if (!tags.has(of)) tags.set(of, text)
    searched = n + 1
  }
  return tags.get(slot) as string
}

let searched = 0
