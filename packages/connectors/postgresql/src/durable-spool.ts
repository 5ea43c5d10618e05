/**
 * The change stream on the mover's own disk, encrypted, from where the source may forget it: whatever has been flushed
 * here is told to the slot, so that the source keeps no log for a load that takes long.
 *
 * Written by one process at a time, in segments that it names by its epoch; what an earlier one wrote is read first, up
 * to the last whole transaction that is in it. Segments form a chain, each naming the one before, so that one that was
 * deleted, put back, cut short or changed is found. What is not found here though the source was told that it is makes
 * the spool lost.
 */
import { mkdir, readdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { formatLsn, type Lsn } from './lsn.ts'
import { diskError } from './spilled-frame.ts'
import { findChain, type Segment, spoolLost } from './spool-chain.ts'
import { SegmentReader, SegmentWriter, type SpoolBlock, segmentName } from './spool-segment.ts'

export interface DurableSpoolOptions {
  /** Of this flow alone; made where it does not exist. */
  readonly folder: string
  /** 32 bytes; another key finds nothing. */
  readonly key: Buffer
  /** Higher than that of all who wrote before. */
  readonly epoch: bigint
  /** Every commit before it is on the target. */
  readonly from: Lsn
  /** The source keeps nothing before it. */
  readonly confirmed: Lsn
  readonly segmentBytesMost?: number
}

/** What a reader is given. */
export interface SpooledPiece {
  /** Bytes of the stream, cut anywhere. */
  readonly data: Buffer
  /** Present where a message begins with the piece although the one before it may have been cut off. */
  readonly start?: SegmentStart
}

export interface SegmentStart {
  readonly relations: readonly Buffer[]
  /** Transactions that were committed at or after it come again later; undefined where none does. */
  readonly until: Lsn | undefined
}

interface CutBlock extends SpoolBlock {
  /** The last of its segment, and what the next one must know of tables. */
  readonly relations: readonly Buffer[] | undefined
}

/** What is gathered before it is sealed. */
const blockBytes = 1024 * 1024
/** Between the first byte of a block and its flush. */
const flushAfterMs = 50
/** How often a stream that brings nothing moves the position. */
const positionAfterMs = 1_000
/** What may wait for the disk in memory. */
const pendingBytesMost = 8 * 1024 * 1024
const usualSegmentBytes = 64 * 1024 * 1024

export class DurableSpool implements AsyncDisposable {
  /** From where the stream must go on: everything committed before it is here or on the target. */
  readonly start: Lsn
  /** Rejects when the disk does not take what it is given. */
  readonly broken: Promise<never>
  readonly #broken = Promise.withResolvers<never>()
  readonly #options: DurableSpoolOptions
  /** Those that are not forgotten yet, the one in work last. */
  readonly #segments: Segment[]
  #writer: SegmentWriter
  readonly #relations = new Map<number, Buffer>()
  /** Where everything that was appended as a whole ends; and as of what is durable. */
  #position: Lsn
  #durable: Lsn
  #full: CutBlock[] = []
  /** Bytes since the segment began. */
  #appended = 0
  #block = Buffer.allocUnsafe(blockBytes)
  #filled = 0
  #flushing: Promise<void> | null = null
  #timer: NodeJS.Timeout | null = null
  #reader: { readonly segment: Segment; readonly file: SegmentReader } | null = null
  #readTo: Lsn = 0n
  #hasEnded = false
  #onDurable: () => void = () => {}

  /**
   * Throws `postgresql.spool-lost` where what the source has forgotten is not here. What is here and not needed any more
   * is deleted.
   */
  static async open(options: DurableSpoolOptions): Promise<DurableSpool> {
    const { folder, key, from, confirmed, epoch } = options
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      const chain = await findChain(folder, key, from)
      if (confirmed > from && confirmed > chain.end) {
        throw spoolLost(
          `the source was told ${formatLsn(confirmed)}, and what is there ends at ${formatLsn(chain.end)}`,
        )
      }
      const segments = chain.end > from ? [...chain.segments] : []
      const kept = new Set(segments.map(({ path }) => path))
      for (const path of (await readdir(folder)).map((name) => join(folder, name))) {
        if (!kept.has(path)) await unlink(path)
      }
      const last = segments.at(-1)
      const head = {
        position: last ? chain.end : from,
        isContinued: false,
        after: last ? { name: last.name, bytes: chain.bytes } : null,
        relations: [],
      }
      const name = nextName(epoch, last?.name)
      const writer = await SegmentWriter.create(folder, name, key, head)
      return new DurableSpool(options, [...segments, { name, path: writer.path, head }], writer)
    } catch (thrown) {
      throw diskError(thrown)
    }
  }

  private constructor(options: DurableSpoolOptions, segments: Segment[], writer: SegmentWriter) {
    this.#options = options
    this.#segments = segments
    this.#writer = writer
    this.start = segments.at(-1)?.head.position ?? options.from
    this.#position = this.start
    this.#durable = this.start
    this.broken = this.#broken.promise
    this.broken.catch(() => {})
  }

  /** Everything that was committed before it is on disk. */
  get durable(): Lsn {
    return this.#durable
  }

  /** So much waits for the disk that no more should be taken in. */
  get isCrowded(): boolean {
    return this.#full.length * blockBytes > pendingBytesMost
  }

  /** Called whenever more is durable. */
  set onDurable(listener: () => void) {
    this.#onDurable = listener
  }

  append(data: Buffer, from: number, to: number): void {
    this.#appended += to - from
    for (let at = from; at < to; ) {
      const taken = data.copy(this.#block, this.#filled, at, to)
      at += taken
      this.#filled += taken
      if (this.#filled === blockBytes) this.#cut()
    }
    this.#flushSoon(this.#full.length > 0 ? 0 : flushAfterMs)
  }

  /** Between transactions: all that was committed before `position` was appended. */
  advance(position: Lsn): void {
    if (position <= this.#position) return
    this.#position = position
    if (this.#appended >= (this.#options.segmentBytesMost ?? usualSegmentBytes)) {
      this.#cut([...this.#relations.values()])
      this.#appended = 0
    }
    this.#flushSoon(this.#filled > 0 ? flushAfterMs : positionAfterMs)
  }

  /** A message that describes a table, which the stream gives once and later segments need too. */
  describe(oid: number, frame: Buffer): void {
    this.#relations.set(oid, frame)
  }

  /** The next piece that was written, or undefined where there is none now. One reader at a time. */
  async read(): Promise<SpooledPiece | undefined> {
    if (!this.#reader) return { data: Buffer.alloc(0), start: await this.#enter(this.#segments[0]) }
    for (;;) {
      const { segment, file } = this.#reader
      const next = this.#segments[this.#segments.indexOf(segment) + 1]
      if (!next && file.at >= this.#writer.bytes) return undefined
      const block = await file.next()
      if (block) {
        this.#readTo = block.position
        return { data: block.data }
      }
      this.#requireEnd(file, next)
      const start = await this.#enter(next)
      if (!next?.head.isContinued) return { data: Buffer.alloc(0), start }
    }
  }

  /** While something is on its way to the disk, which `read` gives afterwards. Never rejects. */
  get flushing(): Promise<void> | null {
    return this.#flushing
  }

  /**
   * Ends the writing: returns what was appended and not written, to be taken instead of read. Call when `read` has
   * nothing and nothing is on its way.
   */
  takeRest(): Buffer[] {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    const rest = [...this.#full.map(({ data }) => data), this.#block.subarray(0, this.#filled)]
    this.#full = []
    this.#filled = 0
    this.#hasEnded = true
    return rest
  }

  /** Deletes what nobody needs once everything before `applied` is on the target. */
  async forget(applied: Lsn): Promise<void> {
    const isOver = this.#hasEnded && applied >= this.#durable
    for (;;) {
      const [first, second] = this.#segments
      if (!first || !second || first === this.#reader?.segment || !this.#reader || applied < second.head.position) break
      this.#segments.shift()
      await unlink(first.path)
    }
    if (isOver) for (const { path } of this.#segments.splice(0)) await unlink(path)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer)
    this.#hasEnded = true
    await this.#flushing
    await this.#writer.close()
    await this.#reader?.file.close()
  }

  /** What a segment says that is read from its first block on. */
  async #enter(segment: Segment | undefined): Promise<SegmentStart> {
    const file =
      segment && (await SegmentReader.open(segment.path, segment.name, this.#options.key).catch(() => undefined))
    if (!segment || !file) throw spoolLost('a part of it cannot be read any more')
    await this.#reader?.file.close()
    this.#reader = { segment, file }
    this.#readTo = segment.head.position
    const behind = this.#segments.slice(this.#segments.indexOf(segment) + 1)
    return { relations: segment.head.relations, until: behind.find(({ head }) => !head.isContinued)?.head.position }
  }

  /** What was cut off behind the last whole transaction is sent again; nothing else may be missing. */
  #requireEnd(file: SegmentReader, next: Segment | undefined): void {
    const isWhole = next?.head.isContinued ? file.at === next.head.after?.bytes : this.#readTo === next?.head.position
    if (!isWhole) throw spoolLost('a block of it is damaged')
  }

  /** With `relations` a segment ends there, which it does between transactions only. */
  #cut(relations?: readonly Buffer[]): void {
    this.#full.push({ data: this.#block.subarray(0, this.#filled), position: this.#position, relations })
    this.#block = Buffer.allocUnsafe(blockBytes)
    this.#filled = 0
  }

  #flushSoon(afterMs: number): void {
    if (this.#flushing || this.#hasEnded) return
    if (this.#timer && afterMs > 0) return
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#timer = null
      this.#flushing = this.#flush().then(
        () => {
          this.#flushing = null
          if (this.#hasPending()) this.#flushSoon(flushAfterMs)
        },
        (thrown) => {
          this.#flushing = null
          this.#hasEnded = true
          this.#broken.reject(diskError(withPath(thrown, this.#options.folder)))
        },
      )
    }, afterMs)
  }

  #hasPending(): boolean {
    return this.#full.length > 0 || this.#filled > 0 || this.#position > this.#durable
  }

  async #flush(): Promise<void> {
    if (this.#filled > 0 || this.#full.length === 0) this.#cut()
    while (this.#full.length > 0) {
      const last = this.#full.findIndex(({ relations }) => relations !== undefined)
      const blocks = this.#full.splice(0, last < 0 ? this.#full.length : last + 1)
      await this.#writer.append(blocks)
      const { position, relations } = blocks.at(-1) as CutBlock
      this.#durable = position
      if (relations) await this.#turn(relations)
      this.#onDurable()
    }
  }

  async #turn(relations: readonly Buffer[]): Promise<void> {
    const { folder, key, epoch } = this.#options
    const before = this.#writer
    const after = { name: before.name, bytes: before.bytes }
    const head = { position: this.#durable, isContinued: true, after, relations }
    const writer = await SegmentWriter.create(folder, nextName(epoch, before.name), key, head)
    await before.close()
    this.#segments.push({ name: writer.name, path: writer.path, head })
    this.#writer = writer
  }
}

/** Behind the name of the last one there is, whoever wrote it. */
function nextName(epoch: bigint, last: string | undefined): string {
  const [lastEpoch = '0', lastSequence = '0'] = last?.split('-') ?? []
  return segmentName(epoch, BigInt(lastEpoch) === epoch ? Number(lastSequence) + 1 : 1)
}

/** An error of a write names no file. */
function withPath(thrown: unknown, path: string): unknown {
  return Object.assign(thrown as Error, { path })
}
