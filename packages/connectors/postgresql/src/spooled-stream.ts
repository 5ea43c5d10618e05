/**
 * A change stream that is received from its opening on, into a spool, whoever reads it and when. Once its reader has
 * come level with what is received the spool is given up, and the stream is as any other.
 */
import { DurableSpool, type DurableSpoolOptions } from './durable-spool.ts'
import { FrameWalker, type LargeFrameSink } from './frame-walker.ts'
import { messageStart } from './large-frame.ts'
import { type Lsn, later } from './lsn.ts'
import { ReplayGate } from './replay-gate.ts'
import { type ChangeStream, ReplicationStream, type StreamOptions, type StreamSink } from './replication-stream.ts'
import { WedgeWatch } from './wedge-watch.ts'

export interface SpooledStreamOptions {
  readonly stream: Omit<StreamOptions, 'from' | 'sink'>
  readonly spool: DurableSpoolOptions
  /** As long as there is no reader, who watches it himself: how the source is asked whether it hears us. */
  readonly source: { readonly name: string; readonly isHeard: (pid: number) => Promise<boolean> }
  readonly patienceMs: number
}

/** How often the source is asked how far it has come, as long as there is no reader to ask. */
const askMs = 1_000

const type = { begin: 0x42, commit: 0x43, relation: 0x52 } as const
/** Of a commit's message: where the position behind it stands. */
const commitEndAt = messageStart + 10
const relationOidAt = messageStart + 1

export class SpooledStream implements ChangeStream {
  readonly broken: Promise<never>
  /** The same as a signal; its reason is what `broken` rejects with. */
  readonly failed: AbortSignal
  readonly #failed = new AbortController()
  readonly #broken = Promise.withResolvers<never>()
  readonly #options: SpooledStreamOptions
  readonly #spool: DurableSpool
  #stream!: ReplicationStream
  #acknowledged: Lsn
  /** A transaction is being received. */
  #isInside = false
  /** Null until a reader attaches. */
  #gate: ReplayGate | null = null
  #walker: FrameWalker | null = null
  /** Nothing is kept any more: what is received is the reader's at once. */
  #isDirect = false
  #isPaused = false
  #hasEnded = false
  #alone: Disposable | null = null
  #wake = Promise.withResolvers<void>()
  #pumping: Promise<void> = Promise.resolve()

  /** Throws `postgresql.spool-lost`. Nobody else may read the slot. */
  static async open(options: SpooledStreamOptions): Promise<SpooledStream> {
    const spool = await DurableSpool.open(options.spool)
    const spooled = new SpooledStream(options, spool)
    try {
      await spooled.#receive()
      return spooled
    } catch (thrown) {
      await spool[Symbol.asyncDispose]()
      throw thrown
    }
  }

  private constructor(options: SpooledStreamOptions, spool: DurableSpool) {
    this.#options = options
    this.#spool = spool
    this.#acknowledged = options.spool.from
    this.failed = this.#failed.signal
    this.broken = this.#broken.promise
    this.broken.catch(() => {})
    spool.onDurable = () => this.#onDurable()
  }

  get acknowledged(): Lsn {
    return this.#acknowledged
  }

  /** The source may forget what stands on the target or here. */
  set acknowledged(position: Lsn) {
    this.#acknowledged = position
    this.#tellSource()
    this.#spool.forget(position).catch((thrown) => this.#fail(thrown))
  }

  get pid(): number {
    return this.#stream.pid
  }

  get silentMs(): number {
    return this.#stream.silentMs
  }

  /** Begins to give the reader everything behind the checkpoint that the spool was opened for. Once only. */
  attach(sink: StreamSink): void {
    this.#alone?.[Symbol.dispose]()
    this.#gate = new ReplayGate(sink, this.#options.spool.from)
    this.#pumping = this.#pump(this.#gate).catch((thrown) => this.#fail(thrown))
  }

  pause(): void {
    this.#isPaused = true
    this.#applyBackPressure()
  }

  resume(): void {
    this.#isPaused = false
    this.#wake.resolve()
    this.#applyBackPressure()
  }

  sendStatus(wantAnswer: boolean): void {
    this.#stream.sendStatus(wantAnswer)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#hasEnded = true
    this.#alone?.[Symbol.dispose]()
    this.#wake.resolve()
    await this.#stream[Symbol.asyncDispose]()
    await this.#pumping
    await this.#spool[Symbol.asyncDispose]()
  }

  async #receive(): Promise<void> {
    const sink: StreamSink = {
      frame: (data, at, end) => this.#frame(data, at, end),
      large: (bytes) => this.#large(bytes),
      keepalive: (walEnd) => this.#keepalive(walEnd),
    }
    this.#stream = await ReplicationStream.open({ ...this.#options.stream, from: this.#spool.start, sink })
    for (const broken of [this.#stream.broken, this.#spool.broken]) broken.catch((thrown) => this.#fail(thrown))
    this.#alone = this.#watchAlone(this.#stream)
  }

  #watchAlone(stream: ReplicationStream): Disposable {
    const { source, patienceMs } = this.#options
    const asking = setInterval(() => stream.sendStatus(true), askMs)
    const connection = { name: source.name, silentMs: () => stream.silentMs, isHeard: () => source.isHeard(stream.pid) }
    const watch = new WedgeWatch([connection], patienceMs)
    watch.wedged.catch((thrown) => this.#fail(thrown))
    return {
      [Symbol.dispose]: () => {
        clearInterval(asking)
        watch[Symbol.dispose]()
      },
    }
  }

  #fail(thrown: unknown): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#failed.abort(thrown)
    this.#wake.resolve()
    this.#broken.reject(thrown)
  }

  #frame(data: Buffer, at: number, end: number): void {
    if (this.#isDirect) {
      this.#gate?.frame(data, at, end)
      return
    }
    this.#spool.append(data, at, end)
    const kind = data[at + messageStart]
    if (kind === type.begin) this.#isInside = true
    else if (kind === type.relation) {
      this.#spool.describe(data.readUInt32BE(at + relationOidAt), Buffer.from(data.subarray(at, end)))
    } else if (kind === type.commit) {
      this.#isInside = false
      this.#spool.advance(data.readBigUInt64BE(at + commitEndAt))
    }
    if (this.#spool.isCrowded) this.#applyBackPressure()
    this.#wake.resolve()
  }

  /** Of a row that was begun to be kept the reader takes the rest as it comes, too. */
  #large(bytes: number): LargeFrameSink {
    if (this.#isDirect && this.#gate) return this.#gate.large(bytes)
    return {
      take: (data, from, to) => {
        if (this.#isDirect) this.#walker?.take(data.subarray(from, to))
        else this.#spool.append(data, from, to)
        this.#applyBackPressure()
      },
      end: () => this.#wake.resolve(),
    }
  }

  #keepalive(walEnd: Lsn): void {
    if (this.#isDirect) this.#gate?.keepalive(walEnd)
    else if (!this.#isInside) this.#spool.advance(walEnd)
  }

  #onDurable(): void {
    this.#tellSource()
    this.#applyBackPressure()
    this.#wake.resolve()
  }

  #tellSource(): void {
    const { durable } = this.#spool
    this.#stream.acknowledged = later(durable, this.#acknowledged)
  }

  #applyBackPressure(): void {
    if (this.#isDirect ? this.#isPaused : this.#spool.isCrowded) this.#stream.pause()
    else this.#stream.resume()
  }

  /** Until the reader is level. It is given no more than a piece after it asked for a pause. */
  async #pump(gate: ReplayGate): Promise<void> {
    while (!this.#hasEnded) {
      this.#wake = Promise.withResolvers()
      if (this.#isPaused) {
        await this.#wake.promise
        continue
      }
      const piece = await this.#spool.read()
      if (this.#hasEnded) return
      if (!piece) {
        if (this.#spool.flushing) await this.#spool.flushing
        else if (!this.#isPaused) {
          this.#goDirect(gate)
          return
        }
        continue
      }
      if (piece.start) {
        this.#walker = new FrameWalker(gate)
        gate.remember(piece.start.relations)
        gate.until = piece.start.until
      }
      this.#walker?.take(piece.data)
    }
  }

  #goDirect(gate: ReplayGate): void {
    for (const piece of this.#spool.takeRest()) this.#walker?.take(piece)
    gate.endReplay()
    this.#isDirect = true
    this.#applyBackPressure()
  }
}
