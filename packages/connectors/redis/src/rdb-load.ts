/**
 * The full load: the snapshot of a replication link goes to the target while it arrives. Values cross as their own
 * bytes by RESTORE; where the target is older than those bytes, or a value is too large to be held, by native commands.
 * Several connections write at once, a batch each; keys know no order. What belongs to one key stays in its order.
 */
import { ReplatformError } from '@replatform/core/errors'
import type { BatchWriter } from './batch-writer.ts'
import type { CommandBuffer } from './command-buffer.ts'
import { isControlKey } from './control-keys.ts'
import { Crc64 } from './crc64.ts'
import { lifted } from './deadline.ts'
import type { LargeCommand } from './large-command.ts'
import { addNative } from './native-commands.ts'
import type { ReplicaLink } from './psync.ts'
import { type RdbEntry, type RdbPart, type RdbPiece, RdbWalker } from './rdb-walker.ts'
import type { Piece } from './spool.ts'
import { sealDump, tooLargeForOlder, WholeValue } from './whole-value.ts'

export interface RdbLoadOptions {
  readonly link: ReplicaLink
  /** Connections that write at once, for each part of the target. */
  readonly writers: readonly (readonly BatchWriter[])[]
  readonly partOf: (key: Buffer) => number
  /** Awaited for each library of functions; without it they go to the target like keys. */
  readonly loadLibrary?: (code: Buffer) => Promise<void>
  /** The target has but one database. */
  readonly onlyFirstDb?: boolean
  /** Newest RDB version that the target restores. */
  readonly targetRdbVersion: number
  readonly signal: AbortSignal
  /** Awaited after each batch; sums since the load began. */
  readonly progress: (loaded: { readonly rows: number; readonly bytes: number }) => Promise<void>
}

export interface RdbLoaded {
  readonly rows: number
  readonly bytes: number
  /** The beginning of the stream, which came together with the end of the snapshot. */
  readonly rest: Piece
}

const batchBytes = 256 * 1024
const batchCommands = 2_000
const mostHeldBytes = 64 * 1024 * 1024

/** Resolves when the whole snapshot is on the target; rejects, also by the signal, when no writer writes any more. */
export async function loadSnapshot(options: RdbLoadOptions): Promise<RdbLoaded> {
  const load = new RdbLoad(options)
  try {
    return await load.run()
  } catch (thrown) {
    await load.settle().catch(() => {})
    throw thrown
  }
}

class RdbLoad {
  readonly #options: RdbLoadOptions
  readonly #walker = new RdbWalker()
  readonly #parts: LaneGroup[]
  readonly #totals = { rows: 0, bytes: 0 }
  #whole: WholeValue | null = null
  #held: Buffer[] = []

  constructor(options: RdbLoadOptions) {
    this.#options = options
    this.#parts = options.writers.map((writers) => new LaneGroup(writers))
  }

  async run(): Promise<RdbLoaded> {
    const { link, signal } = this.#options
    for (;;) {
      signal.throwIfAborted()
      const piece = await link.read()
      this.#walker.push(piece.data)
      for (let event = this.#walker.next(); event; event = this.#walker.next()) {
        if (event.kind === 'end') return this.#end({ data: event.rest, receivedAtMs: piece.receivedAtMs })
        if (event.kind === 'piece') {
          await this.#addPiece(event)
          continue
        }
        const part = event.kind === 'function' ? await this.#addLibrary(event.code) : this.#add(event)
        if (part?.lane.isFull) await this.#turn(part)
      }
    }
  }

  async settle(): Promise<void> {
    await Promise.allSettled([...this.#parts.map((part) => part.settle()), this.#whole?.[Symbol.asyncDispose]()])
  }

  async #end(rest: Piece): Promise<RdbLoaded> {
    await Promise.all(this.#parts.map((part) => part.lane.send()))
    await Promise.all(this.#parts.map((part) => part.idle()))
    return { ...this.#totals, rest: await this.#afterMarker(rest) }
  }

  /** A snapshot that was sent without its length ends in a marker. */
  async #afterMarker(rest: Piece): Promise<Piece> {
    const { snapshot } = this.#options.link
    if (!snapshot || !('marker' in snapshot)) return rest
    let { data, receivedAtMs } = rest
    while (data.length < snapshot.marker.length) {
      const piece = await this.#options.link.read()
      data = Buffer.concat([data, piece.data])
      receivedAtMs = piece.receivedAtMs
    }
    if (data.toString('latin1', 0, snapshot.marker.length) !== snapshot.marker) {
      throw new ReplatformError('redis.rdb-malformed', {
        message: 'The snapshot of the source does not end as announced.',
      })
    }
    return { data: data.subarray(snapshot.marker.length), receivedAtMs }
  }

  async #turn(part: LaneGroup): Promise<void> {
    const { rows, bytes } = this.#totals
    await part.turn()
    await this.#options.progress({ rows, bytes })
  }

  /** The part of the target that it went to. */
  #add(event: RdbEntry | RdbPart): LaneGroup | null {
    if (isControlKey(event.db, event.key)) return null
    if (event.db !== 0 && this.#options.onlyFirstDb) throw otherDatabase(event.db)
    const part = this.#parts[this.#options.partOf(event.key)] as LaneGroup
    part.lane.select(event.db)
    if (event.kind === 'part') this.#addPart(part, event)
    else if (this.#walker.version > this.#options.targetRdbVersion) this.#addNative(part, event)
    else part.lane.restore(event, this.#walker.version)
    if (event.kind === 'entry') this.#count(event.value.length + event.key.length, 1)
    return part
  }

  async #addLibrary(code: Buffer): Promise<LaneGroup | null> {
    const { loadLibrary } = this.#options
    if (loadLibrary) {
      await loadLibrary(code)
      return null
    }
    const [part] = this.#parts as [LaneGroup]
    part.lane.buffer.add(['FUNCTION', 'LOAD', 'REPLACE', code])
    return part
  }

  /** A value that has no parts waits in a file until its length is known, and goes to the target from there. */
  async #addPiece(piece: RdbPiece): Promise<void> {
    const { db, key, type, expireAtMs, bytes, isFirst, isLast } = piece
    if (isControlKey(db, key)) return
    if (db !== 0 && this.#options.onlyFirstDb) throw otherDatabase(db)
    if (this.#walker.version > this.#options.targetRdbVersion) return this.#holdPiece(piece)
    if (isFirst) this.#whole = new WholeValue(type)
    const whole = this.#whole as WholeValue
    await whole.add(bytes)
    if (!isLast) return
    const part = this.#parts[this.#options.partOf(key)] as LaneGroup
    await this.#turn(part)
    const { length, body } = whole.seal(this.#walker.version)
    const tail = expireAtMs === null ? ['REPLACE'] : ['REPLACE', 'ABSTTL']
    const head = ['RESTORE', key, expireAtMs === null ? 0 : lifted(expireAtMs)]
    await part.lane.sendLarge(db, { head, length, body, tail })
    this.#count(length, 1)
    await whole[Symbol.asyncDispose]()
  }

  /** For a target that is older than the value's bytes: it becomes commands, as a whole. */
  async #holdPiece({ bytes, isFirst, isLast, ...rest }: RdbPiece): Promise<void> {
    if (isFirst) this.#held = []
    this.#held.push(Buffer.from(bytes))
    if (this.#held.reduce((sum, each) => sum + each.length, 0) > mostHeldBytes) throw tooLargeForOlder()
    if (!isLast) return
    const part = this.#add({ ...rest, kind: 'entry', value: Buffer.concat(this.#held) })
    this.#held = []
    if (part?.lane.isFull) await this.#turn(part)
  }

  #addNative({ lane: { buffer } }: LaneGroup, { key, type, value, expireAtMs }: RdbEntry): void {
    buffer.add(['DEL', key])
    addNative(buffer, key, type, value)
    if (expireAtMs !== null) buffer.add(['PEXPIREAT', key, lifted(expireAtMs)])
  }

  #addPart(part: LaneGroup, { key, verb, args, isFirst, isLast, expireAtMs }: RdbPart): void {
    const { buffer } = part.lane
    if (isFirst) buffer.add(['DEL', key])
    buffer.add([verb, key, ...args])
    if (isLast && expireAtMs !== null) buffer.add(['PEXPIREAT', key, lifted(expireAtMs)])
    part.isWithinKey = !isLast
    this.#count(
      args.reduce((sum, arg) => sum + arg.length, 0),
      isLast ? 1 : 0,
    )
  }

  #count(bytes: number, rows: number): void {
    this.#totals.bytes += bytes
    this.#totals.rows += rows
  }
}

/** The lanes to one part of the target, of which one is filled. */
class LaneGroup {
  readonly #lanes: readonly Lane[]
  lane: Lane
  /** A key is half written: what follows of it must go the same way. */
  isWithinKey = false

  constructor(writers: readonly BatchWriter[]) {
    this.#lanes = writers.map((writer) => new Lane(writer))
    this.lane = this.#lanes[0] as Lane
  }

  /** To the lane that is free first; one that holds a half-written key keeps it. */
  async turn(): Promise<void> {
    const sent = this.lane.send()
    if (this.isWithinKey) {
      await sent
    } else {
      sent.catch(() => {})
      this.lane = await Promise.race(this.#lanes.map((lane) => lane.idle().then(() => lane)))
    }
  }

  async idle(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.idle()))
  }

  async settle(): Promise<void> {
    await Promise.allSettled(this.#lanes.map((lane) => lane.idle()))
  }
}

/** One connection's batch: filled while others are on their way. */
class Lane {
  readonly buffer: CommandBuffer
  readonly #writer: BatchWriter
  readonly #crc = new Crc64()
  readonly #footer = Buffer.alloc(10)
  #db: number | null = null
  #sending: Promise<void> = Promise.resolve()

  constructor(writer: BatchWriter) {
    this.#writer = writer
    this.buffer = writer.createBuffer(2 * batchBytes)
  }

  get isFull(): boolean {
    return this.buffer.length >= batchBytes || this.buffer.commands >= batchCommands
  }

  select(db: number): void {
    if (this.#db === db) return
    this.#db = db
    this.buffer.add(['SELECT', db])
  }

  restore({ key, type, value, expireAtMs }: RdbEntry, version: number): void {
    const { buffer } = this
    buffer.begin(expireAtMs === null ? 5 : 6)
    buffer.argument('RESTORE')
    buffer.argument(key)
    buffer.argument(expireAtMs === null ? '0' : lifted(expireAtMs))
    buffer.beginArgument(1 + value.length + 10)
    buffer.byte(type)
    buffer.bytes(value)
    buffer.bytes(this.#seal(type, value, version))
    buffer.endArgument()
    buffer.argument('REPLACE')
    if (expireAtMs !== null) buffer.argument('ABSTTL')
  }

  /** The buffer is free again when it resolves. */
  send(): Promise<void> {
    this.#sending = this.#send()
    return this.#sending
  }

  /** Nothing else is in the batch. */
  sendLarge(db: number, command: LargeCommand): Promise<void> {
    this.#sending = this.#writer.commitLarge(db, command)
    return this.#sending
  }

  idle(): Promise<void> {
    return this.#sending
  }

  async #send(): Promise<void> {
    if (this.buffer.commands > 0) await this.#writer.commit(this.buffer)
    this.buffer.clear()
    this.#db = null
  }

  #seal(type: number, value: Buffer, version: number): Buffer {
    this.#crc.reset()
    this.#crc.updateByte(type)
    this.#crc.update(value)
    sealDump(this.#footer, this.#crc, version)
    return this.#footer
  }
}

/** A cluster has no other databases than the first. */
export function otherDatabase(db: number): ReplatformError {
  return new ReplatformError('redis.database-in-cluster', {
    message: `The source has keys in database ${db}, and a cluster has but database 0.`,
  })
}
