/**
 * Stands between a stream that was kept and its reader, who begins somewhere in it: lets through the transactions that
 * the reader lacks, and tells it what a table is like before the first row of that table, as the server does on a new
 * connection.
 */
import type { LargeFrameSink } from './frame-walker.ts'
import { messageStart } from './large-frame.ts'
import type { Lsn } from './lsn.ts'
import type { StreamSink } from './replication-stream.ts'

const type = { begin: 0x42, relation: 0x52, insert: 0x49, update: 0x55, delete: 0x44, truncate: 0x54 } as const
const rows: ReadonlySet<number> = new Set([type.insert, type.update, type.delete])
/** Where the table's object id stands in a row's or a relation's message. */
const oidAt = messageStart + 1

export class ReplayGate implements StreamSink {
  /** Transactions that were committed at or behind it come again later. */
  until: Lsn | undefined
  readonly #reader: StreamSink
  readonly #from: Lsn
  /** Descriptions that the reader was not told. */
  readonly #untold = new Map<number, Buffer>()
  #isPassing = true
  #isReplaying = true

  constructor(reader: StreamSink, from: Lsn) {
    this.#reader = reader
    this.#from = from
  }

  /** What the stream said of tables before this place. */
  remember(relations: readonly Buffer[]): void {
    for (const frame of relations) this.#untold.set(frame.readUInt32BE(oidAt), frame)
  }

  /** Nothing that comes from now on was there before. */
  endReplay(): void {
    this.#isReplaying = false
  }

  frame(data: Buffer, at: number, end: number): void {
    if (this.#isReplaying || this.#untold.size > 0) {
      const kind = data[at + messageStart] ?? 0
      if (kind === type.begin) this.#isPassing = this.#isLacking(data.readBigUInt64BE(at + messageStart + 1))
      else if (kind === type.relation) this.#noteRelation(data, at, end)
      if (!this.#isPassing) return
      if (rows.has(kind)) this.#tell(data.readUInt32BE(at + oidAt))
      else if (kind === type.truncate) this.#tellAll(data, at)
    }
    this.#reader.frame(data, at, end)
  }

  large(bytes: number): LargeFrameSink {
    if (!this.#isPassing) return nowhere
    return this.#untold.size > 0 ? new HeadFirst((oid) => this.#tellAndOpen(oid, bytes)) : this.#reader.large(bytes)
  }

  keepalive(walEnd: Lsn): void {
    this.#reader.keepalive(walEnd)
  }

  #isLacking(commit: Lsn): boolean {
    return commit >= this.#from && (this.until === undefined || commit < this.until)
  }

  #noteRelation(data: Buffer, at: number, end: number): void {
    const oid = data.readUInt32BE(at + oidAt)
    if (this.#isPassing) this.#untold.delete(oid)
    else this.#untold.set(oid, Buffer.from(data.subarray(at, end)))
  }

  #tell(oid: number): void {
    const frame = this.#untold.get(oid)
    if (!frame) return
    this.#untold.delete(oid)
    this.#reader.frame(frame, 0, frame.length)
  }

  /** Of a TRUNCATE: how many tables, a byte of options, then their object ids. */
  #tellAll(data: Buffer, at: number): void {
    const count = data.readInt32BE(at + messageStart + 1)
    for (let i = 0; i < count; i++) this.#tell(data.readUInt32BE(at + messageStart + 6 + 4 * i))
  }

  #tellAndOpen(oid: number, bytes: number): LargeFrameSink {
    this.#tell(oid)
    return this.#reader.large(bytes)
  }
}

const nowhere: LargeFrameSink = { take() {}, end() {} }

/** Waits for the table of a large row before it hands on what came. */
class HeadFirst implements LargeFrameSink {
  readonly #open: (oid: number) => LargeFrameSink
  readonly #head = Buffer.alloc(oidAt + 4)
  #filled = 0
  #sink: LargeFrameSink | null = null

  constructor(open: (oid: number) => LargeFrameSink) {
    this.#open = open
  }

  take(data: Buffer, from: number, to: number): void {
    let at = from
    if (!this.#sink) {
      const taken = data.copy(this.#head, this.#filled, at, to)
      this.#filled += taken
      at += taken
      if (this.#filled < this.#head.length) return
      this.#sink = this.#open(this.#head.readUInt32BE(oidAt))
      this.#sink.take(this.#head, 0, this.#head.length)
    }
    if (at < to) this.#sink.take(data, at, to)
  }

  end(): void {
    this.#sink?.end()
  }
}
