/**
 * Follows the change stream: gathers whole transactions into batches while the batch before is being written, so that
 * a quiet source is applied at once and a busy one in large steps. The stream is read only as far ahead as one full
 * batch; then the socket is paused and the source keeps the rest.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { FollowOptions, FollowProgress } from '@replatform/core/connector'
import type { Applier } from './applier.ts'
import { BatchQueue, isHuge } from './batch-queue.ts'
import type { ChangeBatch } from './change-batch.ts'
import type { FollowedTable } from './followed-table.ts'
import { formatLsn, type Lsn, later } from './lsn.ts'
import { MessageSink } from './message-sink.ts'
import type { Message, Relation } from './pgoutput.ts'
import { type ChangeStream, epochOffsetMs, type StreamSink } from './replication-stream.ts'
import { farewellMs } from './session.ts'
import { SpilledFrames } from './spilled-frame.ts'
import { WedgeWatch } from './wedge-watch.ts'

export interface FollowerOptions {
  readonly move: string
  /** The target's checkpoint. */
  readonly from: Lsn
  /** Opens the stream behind the checkpoint. */
  readonly openStream: (sink: StreamSink) => Promise<ChangeStream>
  /** Where the values of very large rows are set aside. */
  readonly spillFolder: string
  readonly applier: Applier
  /** Undefined for the barrier table, whose changes only mark a place. */
  readonly resolveTable: (relation: Relation) => FollowedTable | undefined
  /** Called inside the target's transaction, after definitions changed in it. */
  readonly refreshTables: () => Promise<void>
  /** The source's clock minus ours, in milliseconds. */
  readonly clockOffsetMs: number
  /** Where the source's log ends now. */
  readonly readWalEnd: () => Promise<Lsn>
  /** Both ends as `describe` writes them, and what their servers say of our connections there. */
  readonly source: { readonly name: string; readonly isHeard: (pid: number) => Promise<boolean> }
  readonly target: { readonly name: string; readonly isHeard: () => Promise<boolean> }
  /** How long an answer may be due before it is asked elsewhere whether one will come. */
  readonly patienceMs: number
  /** How long the target may work on one piece. */
  readonly hopelessMs: number
}

const pollMs = 500
/** How often a stream that brings nothing of ours moves the checkpoint. */
const idleCheckpointMs = 1_000
/** How often it is looked at whether a target that has nothing to do still answers. */
const idlePingMs = 5_000

export class Follower {
  readonly #options: FollowerOptions
  readonly #queue: BatchQueue
  readonly #totals = { transactions: 0, rows: 0, bytes: 0 }
  readonly #spilled: SpilledFrames
  #stream: ChangeStream | null = null
  #report: FollowOptions['report'] = () => {}
  /** End of the last commit that is durable on the target. */
  #applied: Lsn
  /** The server has sent everything up to here. */
  #received: Lsn
  #sourceEnd: Lsn
  #checkpointedAt = 0
  /** Taken from the queue and not yet durable. */
  #inHand: ChangeBatch | null = null
  /** An end of the source's log that was asked for at `at`, and not received yet when it was. */
  #probe: { readonly end: Lsn; readonly at: number } | null = null
  /** Once true, silence means that there is nothing to say. */
  #hasBeenLevel = false
  #isIntakePaused = false
  #isPolling = false
  /** When the statement that the target works on was sent; null while there is none. */
  #sentAt: number | null = null
  #wake = Promise.withResolvers<void>()

  constructor(options: FollowerOptions) {
    this.#options = options
    this.#applied = options.from
    this.#received = options.from
    this.#sourceEnd = options.from
    this.#spilled = new SpilledFrames(options.spillFolder)
    const { move, resolveTable } = options
    this.#queue = new BatchQueue({ move, resolveTable, onReady: () => this.#wake.resolve() })
  }

  /** Ends when the signal is given, after what is being written is durable; rejects with what broke it. */
  async run({ signal, report, throttle }: FollowOptions): Promise<void> {
    this.#report = report
    const sink = new MessageSink({
      frames: this.#spilled,
      onMessage: (data, at, end) => this.#message(data, at, end),
      onLarge: (message) => this.#largeMessage(message),
      onKeepalive: (walEnd) => this.#keepalive(walEnd),
    })
    const stream = await this.#options.openStream(sink)
    this.#stream = stream
    this.#applyBackPressure()
    const poll = setInterval(() => void this.#pollSource().catch(() => {}), pollMs)
    using watch = this.#watch(stream)
    const broken = Promise.race([stream.broken, watch.wedged])
    broken.catch(() => {})
    const onAbort = () => this.#wake.resolve()
    signal.addEventListener('abort', onAbort)
    try {
      while (!signal.aborted) {
        await Promise.race([this.#wake.promise, broken])
        this.#wake = Promise.withResolvers()
        while (!signal.aborted && this.#take()) {
          await Promise.race([throttle(), broken])
          await Promise.race([this.#onTarget(() => this.#writeInHand()), watch.wedged])
        }
        await Promise.race([this.#onTarget(() => this.#checkpointWhenIdle()), watch.wedged])
        this.#queue.settleHold(this.#received)
      }
    } finally {
      clearInterval(poll)
      signal.removeEventListener('abort', onAbort)
      this.#queue.endHold(new Error('Following ended.'))
      // A target that does not answer undoes it when its connection is closed.
      await Promise.race([this.#options.applier.rollback(), sleep(farewellMs)])
      await stream[Symbol.asyncDispose]()
      this.#spilled[Symbol.dispose]()
    }
  }

  /** Records the keys of everything that is written from the next batch on. */
  track(): void {
    this.#options.applier.isTracking = true
  }

  /**
   * Stops the intake: everything received so far was committed before whatever the caller does next on the source.
   * Followed by `holdAt` or `resumeIntake`.
   */
  pauseIntake(): void {
    this.#isIntakePaused = true
    this.#applyBackPressure()
  }

  /**
   * Goes on up to `at`: resolves when every commit before it is on the target and none after, and stays so until
   * `resumeIntake`. Rejects when following ends first.
   */
  async holdAt(at: Lsn): Promise<void> {
    const reached = this.#queue.hold(at)
    this.#isIntakePaused = false
    this.#applyBackPressure()
    this.#wake.resolve()
    const ask = setInterval(() => this.#stream?.sendStatus(true), 20)
    try {
      await reached
    } finally {
      clearInterval(ask)
    }
  }

  resumeIntake(): void {
    this.#queue.endHold(new Error('The hold was given up.'))
    this.#isIntakePaused = false
    this.#applyBackPressure()
    this.#wake.resolve()
  }

  #watch(stream: ChangeStream): WedgeWatch {
    const { source, target, patienceMs, hopelessMs } = this.#options
    const onSource = { name: source.name, silentMs: () => stream.silentMs, isHeard: () => source.isHeard(stream.pid) }
    const silentMs = () => (this.#sentAt === null ? 0 : performance.now() - this.#sentAt)
    return new WedgeWatch([onSource, { ...target, silentMs, hopelessMs }], patienceMs)
  }

  async #onTarget(work: () => Promise<void>): Promise<void> {
    this.#sentAt = performance.now()
    await work().finally(() => {
      this.#sentAt = null
    })
  }

  #message(data: Buffer, at: number, end: number): void {
    this.#queue.take(data, at, end, this.#inHand === null)
    if (this.#queue.isFull) this.#applyBackPressure()
  }

  #largeMessage(message: Required<Message>): void {
    this.#queue.takeLarge(message, this.#inHand === null)
    this.#applyBackPressure()
  }

  #keepalive(walEnd: Lsn): void {
    if (walEnd > this.#received) this.#received = walEnd
    if (this.#isIdle()) this.#wake.resolve()
  }

  #isIdle(): boolean {
    return this.#queue.isEmpty && this.#inHand === null
  }

  #take(): boolean {
    this.#inHand = this.#queue.next() ?? null
    this.#applyBackPressure()
    return this.#inHand !== null
  }

  async #writeInHand(): Promise<void> {
    const batch = this.#inHand
    if (!batch) return
    const isWritten = this.#mustWrite(batch)
    if (isWritten) {
      await this.#options.applier.apply(batch)
      this.#checkpointedAt = performance.now()
    }
    for (const spilled of batch.spilled) spilled.close()
    if (batch.definesTables) await this.#options.refreshTables()
    this.#inHand = null
    if (batch.definesTables) this.#goOn()
    this.#totals.transactions += batch.transactions
    this.#totals.rows += batch.rows
    this.#totals.bytes += batch.bytes
    if (!batch.commit) return
    this.#applied = batch.commit.end
    if (this.#applied > this.#received) this.#received = this.#applied
    if (isWritten && this.#stream) this.#stream.acknowledged = this.#applied
    this.#report(this.#progress(batch.commit.at))
  }

  /** What waited for the definitions is decoded in their light; an error of it is the stream's. */
  #goOn(): void {
    this.#queue.resume()
    this.#applyBackPressure()
    this.#wake.resolve()
  }

  /**
   * Only when nothing is on its way does the end of the log say something about what was applied. The source is told so
   * once it stands on the target: what it was told, it may forget.
   */
  async #checkpointWhenIdle(): Promise<void> {
    const stream = this.#stream
    if (!stream || !this.#isIdle()) return
    const position = later(this.#received, this.#applied)
    const due = position > stream.acknowledged ? idleCheckpointMs : idlePingMs
    if (performance.now() - this.#checkpointedAt < due) return
    await this.#options.applier.checkpoint(position)
    this.#checkpointedAt = performance.now()
    stream.acknowledged = position
  }

  #mustWrite(batch: ChangeBatch): boolean {
    if (!batch.isEmpty || batch.hasBarrier || !batch.commit) return true
    return performance.now() - this.#checkpointedAt > idleCheckpointMs
  }

  /** Asks how far the source is, and the stream how far it has come: without an answer nobody knows the lag. */
  async #pollSource(): Promise<void> {
    this.#stream?.sendStatus(true)
    if (this.#isPolling) return
    this.#isPolling = true
    this.#sourceEnd = await this.#options.readWalEnd().finally(() => {
      this.#isPolling = false
    })
    if (this.#probe && this.#received >= this.#probe.end) {
      this.#probe = null
      this.#hasBeenLevel = true
    }
    this.#probe ??= { end: this.#sourceEnd, at: performance.now() }
    this.#wake.resolve()
    if (this.#hasBeenLevel || this.#totals.transactions > 0) this.#report(this.#progress(null))
  }

  #progress(appliedAt: bigint | null): FollowProgress {
    const position = this.#isIdle() && this.#received > this.#applied ? this.#received : this.#applied
    const behind = this.#sourceEnd > position ? this.#sourceEnd - position : 0n
    const oldest = this.#inHand?.firstCommitAt ?? this.#queue.oldestCommitAt ?? appliedAt
    const waitingMs = oldest === null ? 0 : this.#sourceNow() - sourceMs(oldest)
    const silentMs = this.#probe && this.#received < this.#probe.end ? performance.now() - this.#probe.at : 0
    return {
      position: formatLsn(position),
      lagMs: Math.max(Math.round(waitingMs), Math.round(silentMs), 0),
      lagBytes: Number(behind),
      ...this.#totals,
    }
  }

  #sourceNow(): number {
    return Date.now() + this.#options.clockOffsetMs
  }

  #applyBackPressure(): void {
    const isHeldHuge = this.#inHand !== null && isHuge(this.#inHand)
    if (this.#isIntakePaused || this.#queue.isFull || isHeldHuge) this.#stream?.pause()
    else this.#stream?.resume()
  }
}

function sourceMs(micros: bigint): number {
  return Number(micros / 1_000n) + epochOffsetMs
}
