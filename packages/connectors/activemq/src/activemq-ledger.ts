/**
 * The bridge's ledger on ActiveMQ: the last entry of every queue together, as one record. Entries that come while one is
 * being stored go together with the next.
 */
import type { Ledger, LedgerEntry } from '@replatform/connector-rabbitmq/brokers'
import { toReplatformError } from '@replatform/core/errors'
import type { Connection } from 'rhea'
import { type Recorded, RecordWriter, readRecord } from './record-queue.ts'

type Entries = Readonly<Record<string, LedgerEntry>>

export async function readLedger(connection: Connection, queue: string): Promise<LedgerEntry[]> {
  return Object.values((await readRecord<Entries>(connection, queue))?.value ?? {})
}

export class RecordLedger implements Ledger {
  readonly #writer: RecordWriter<Entries>
  readonly #lost: Promise<never>
  #entries: Record<string, LedgerEntry>
  #version: number
  #waiting: PromiseWithResolvers<void> | null = null
  #writing: Promise<void> = Promise.resolve()

  static async open(connection: Connection, queue: string, lost: Promise<never>): Promise<RecordLedger> {
    const recorded = await readRecord<Entries>(connection, queue)
    return new RecordLedger(await RecordWriter.open(connection, queue), lost, recorded)
  }

  private constructor(writer: RecordWriter<Entries>, lost: Promise<never>, recorded: Recorded<Entries> | undefined) {
    this.#writer = writer
    this.#lost = lost
    this.#entries = { ...recorded?.value }
    this.#version = recorded?.version ?? 0
  }

  append(entry: LedgerEntry): Promise<void> {
    this.#entries[entry.queue] = entry
    if (this.#waiting) return this.#waiting.promise
    const waiting = Promise.withResolvers<void>()
    waiting.promise.catch(() => undefined)
    this.#waiting = waiting
    this.#writing = this.#writing.then(() => this.#write(waiting))
    return waiting.promise
  }

  async close(): Promise<void> {
    const closed = this.#writing.then(() => this.#writer[Symbol.asyncDispose]())
    await Promise.race([closed, this.#lost.catch(() => undefined)])
  }

  async #write(waiting: PromiseWithResolvers<void>): Promise<void> {
    this.#waiting = null
    try {
      const recorded = { version: ++this.#version, value: { ...this.#entries } }
      await Promise.race([this.#writer.write(recorded), this.#lost])
      waiting.resolve()
    } catch (thrown) {
      waiting.reject(toReplatformError(thrown))
    }
  }
}
