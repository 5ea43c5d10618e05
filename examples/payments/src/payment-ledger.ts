import { DatabaseError, Pool, type PoolClient } from 'pg'
import { type FailedOutcome, StoreUnavailable } from './store-unavailable.ts'

/** What the ledger answered to a key: always the same status and the same bytes, however often it is asked. */
export interface Answer {
  readonly status: number
  readonly body: string
  readonly replayed: boolean
}

export interface AccountState {
  readonly id: string
  readonly kind: string
  /** Whole dong; text, since it may exceed what a JSON number holds. */
  readonly balance: string
}

export interface LedgerOptions {
  readonly url: string
  readonly connections: number
  /** How long a request waits for a free connection, and a new connection for its server. */
  readonly connectMs: number
  /** How long a statement may take: longer than a pooler holds it during a switchover. */
  readonly statementMs: number
  readonly onConnectionError: (error: Error) => void
}

/**
 * The wallet's side of the ledger. Each payment is one statement and so one transaction: nothing is kept in a session
 * and no statement has a name, so that a pooler may give every statement another server connection.
 */
export class PaymentLedger {
  readonly #pool: Pool

  constructor(options: LedgerOptions) {
    this.#pool = new Pool({
      connectionString: options.url,
      max: options.connections,
      connectionTimeoutMillis: options.connectMs,
      query_timeout: options.statementMs,
      keepAlive: true,
    })
    // A connection that drops while idle must not end the process; the pool has already forgotten it.
    this.#pool.on('error', options.onConnectionError)
  }

  async transfer(key: string, request: Buffer, { from, to, amount }: RequestedTransfer): Promise<Answer> {
    return await this.#answer(`ledger.pay($1, $2, 'transfer', $3, $4, $5)`, [key, request, from, to, amount])
  }

  /** A top-up out of the customer's funding account. */
  async topUp(key: string, request: Buffer, account: number, amount: number): Promise<Answer> {
    const call = `ledger.pay($1, $2, 'top-up', ledger.funding_account($3), $3, $4)`
    return await this.#answer(call, [key, request, account, amount])
  }

  async hold(key: string, request: Buffer, hold: RequestedHold): Promise<Answer> {
    return await this.#answer('ledger.hold($1, $2, $3, $4, $5)', [key, request, hold.account, hold.payee, hold.amount])
  }

  /** Without an amount: all that is left. */
  async closeHold(key: string, request: Buffer, { verb, hold, amount = null }: RequestedClosing): Promise<Answer> {
    return await this.#answer('ledger.close_hold($1, $2, $3, $4, $5)', [key, request, verb, hold, amount])
  }

  async refund(key: string, request: Buffer, transfer: string, amount: number): Promise<Answer> {
    return await this.#answer('ledger.refund($1, $2, $3, $4)', [key, request, transfer, amount])
  }

  async account(id: string): Promise<AccountState | undefined> {
    const rows = await this.#run<AccountState>('SELECT id, kind, balance FROM ledger.accounts WHERE id = $1', [id])
    return rows[0]
  }

  async ping(): Promise<void> {
    await this.#run('SELECT 1', [])
  }

  /** Opens all connections, so that the first payments do not wait for them. Without a database it does nothing. */
  async warmUp(): Promise<void> {
    await Promise.allSettled(Array.from({ length: this.#pool.options.max }, () => this.ping()))
  }

  async close(): Promise<void> {
    await this.#pool.end()
  }

  async #answer(call: string, parameters: readonly unknown[]): Promise<Answer> {
    const rows = await this.#run<Answer>(`SELECT status, body, replayed FROM ${call}`, parameters)
    const answer = rows[0]
    if (answer === undefined) throw new StoreUnavailable('unknown', new Error('no row'))
    return answer
  }

  async #run<Row extends object>(text: string, parameters: readonly unknown[]): Promise<Row[]> {
    const client = await this.#connect()
    try {
      const result = await client.query<Row>(text, [...parameters])
      client.release()
      return result.rows
    } catch (error) {
      const outcome = outcomeOf(error)
      // After an unknown outcome the connection may still be busy with the statement: it is not used again.
      client.release(outcome === 'unknown')
      throw new StoreUnavailable(outcome, error)
    }
  }

  async #connect(): Promise<PoolClient> {
    try {
      return await this.#pool.connect()
    } catch (error) {
      throw new StoreUnavailable('not-done', error)
    }
  }
}

export interface RequestedTransfer {
  readonly from: number
  readonly to: number
  readonly amount: number
}

export interface RequestedHold {
  readonly account: number
  readonly payee: number
  readonly amount: number
}

export interface RequestedClosing {
  readonly verb: 'capture' | 'release'
  readonly hold: string
  readonly amount?: number | null
}

/**
 * A statement that was sent is certainly undone only if the server itself refused it and went on: then the error has
 * an SQLSTATE of the statement. Errors of the connection (class 08, also PgBouncer's own) and of a server that shuts
 * down (class 57P) can come after the commit, and a lost connection tells nothing at all.
 */
export function outcomeOf(error: unknown): FailedOutcome {
  if (!(error instanceof DatabaseError) || error.code === undefined) return 'unknown'
  return error.code.startsWith('08') || error.code.startsWith('57P') ? 'unknown' : 'not-done'
}
