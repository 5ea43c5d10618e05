import { setTimeout as delay } from 'node:timers/promises'
import { Pool } from 'pg'
import { keepTrying } from '../events/keep-trying.ts'
import { type ReceiptSource, receiptSources } from './receipt.ts'
import type { ReceiptShare } from './receipt-share.ts'

export interface ReceiptWriterOptions {
  readonly consumersUrl: string
  readonly share: ReceiptShare
  readonly onFailure: (error: unknown) => void
}

const batchRows = 200
const idleMs = 100

/** Writes a receipt for every payment that the consumer `notification` has taken. One writer at a time. */
export class ReceiptWriter {
  readonly #options: ReceiptWriterOptions
  readonly #pool: Pool

  constructor(options: ReceiptWriterOptions) {
    this.#options = options
    this.#pool = new Pool({ connectionString: options.consumersUrl, max: 1, connectionTimeoutMillis: 5000 })
    this.#pool.on('error', options.onFailure)
  }

  async run(signal: AbortSignal): Promise<void> {
    const { onFailure, share } = this.#options
    const work = async () => {
      await share.ping()
      let last = await share.lastOrdinal()
      while (!signal.aborted) {
        const sql = `${receiptSources} AND ordinal > $1 ORDER BY ordinal LIMIT ${batchRows}`
        const { rows } = await this.#pool.query<ReceiptSource>(sql, [last])
        await share.add(rows)
        last = BigInt(rows.at(-1)?.ordinal ?? last)
        if (rows.length === 0) await delay(idleMs, undefined, { signal }).catch(() => undefined)
      }
    }
    await keepTrying(work, { signal, onFailure })
    await this.#pool.end()
  }
}
