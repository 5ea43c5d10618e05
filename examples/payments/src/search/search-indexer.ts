import { setTimeout as delay } from 'node:timers/promises'
import { Pool } from 'pg'
import { keepTrying } from '../events/keep-trying.ts'
import type { MerchantDatabase } from '../merchants/merchant-database.ts'
import {
  merchantsIndex,
  type TakenPayment,
  takenPayments,
  transactionDocument,
  transactionIndex,
} from './search-documents.ts'
import type { SearchStore } from './search-store.ts'

export interface IndexerOptions {
  readonly consumersUrl: string
  /** Without it, merchants cannot be searched for. */
  readonly merchants?: MerchantDatabase | undefined
  readonly store: SearchStore
  readonly onFailure: (error: unknown) => void
}

const batchRows = 500
const idleMs = 100

/**
 * Carries what the consumer `search-index` has taken to the search server, in the order in which it was taken, and
 * notes how far it is only afterwards: after a failure it writes the same versions again, which changes nothing.
 */
export class SearchIndexer {
  readonly #options: IndexerOptions
  readonly #pool: Pool
  #lastMerchant = 0

  constructor(options: IndexerOptions) {
    this.#options = options
    this.#pool = new Pool({ connectionString: options.consumersUrl, max: 2, connectionTimeoutMillis: 5000 })
    this.#pool.on('error', options.onFailure)
  }

  async run(signal: AbortSignal): Promise<void> {
    const { onFailure, store } = this.#options
    const work = async () => {
      await store.prepare()
      while (!signal.aborted) {
        const carried = (await this.#carryPayments()) + (await this.#carryMerchants())
        if (carried === 0) await delay(idleMs, undefined, { signal }).catch(() => undefined)
      }
    }
    await keepTrying(work, { signal, onFailure })
    await this.#pool.end()
  }

  async #carryPayments(): Promise<number> {
    const { rows } = await this.#pool.query<TakenPayment>(
      `${takenPayments} AND i.ordinal > (SELECT ordinal FROM consumers.search_position) ORDER BY i.ordinal LIMIT ${batchRows}`,
    )
    const last = rows.at(-1)
    if (last === undefined) return 0
    await this.#options.store.index(
      rows.map((payment) => ({
        index: transactionIndex(payment),
        id: payment.transfer,
        version: Number(payment.event),
        source: transactionDocument(payment),
      })),
    )
    await this.#pool.query('UPDATE consumers.search_position SET ordinal = $1 WHERE ordinal < $1', [last.ordinal])
    return rows.length
  }

  /** From the beginning after each start: merchants are few, and the same version changes nothing. */
  async #carryMerchants(): Promise<number> {
    const { merchants, store } = this.#options
    if (!merchants) return 0
    const rows = await merchants.rows<{ id: number; name: string; partnerCode: string; walletAccount: number }>(
      `SELECT id, name, partner_code AS partnerCode, wallet_account AS walletAccount FROM merchants WHERE id > ?
        ORDER BY id LIMIT ${batchRows}`,
      [this.#lastMerchant],
    )
    await store.index(rows.map((source) => ({ index: merchantsIndex, id: String(source.id), version: 1, source })))
    this.#lastMerchant = rows.at(-1)?.id ?? this.#lastMerchant
    return rows.length
  }
}
