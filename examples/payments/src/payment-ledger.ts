import { DatabaseError, Pool, type PoolClient } from 'pg'
import { type FailedOutcome, StoreUnavailable } from './store-unavailable.ts'

/** What the ledger answered to a key: always the same status and the same bytes, however often it is asked. */
export interface Answer {
  readonly status: number
  readonly body: string
  readonly replayed: boolean
}

/** One request that may be repeated. */
export interface Ask {
  readonly key: string
  /** Of all that it asks for: under the same key another one is refused. */
  readonly hash: Buffer
  /** Nobody waits for the answer any more. */
  isAbandoned(): boolean
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

  /** Requests that wait for a connection. */
  get waiting(): number {
    return this.#pool.waitingCount
  }

  async transfer(ask: Ask, { from, to, amount }: RequestedTransfer): Promise<Answer> {
    return await this.#answer(ask, `ledger.pay($1, $2, 'transfer', $3, $4, $5)`, [from, to, amount])
  }

  /** A top-up out of the customer's funding account. */
  async topUp(ask: Ask, account: number, amount: number): Promise<Answer> {
    const call = `ledger.pay($1, $2, 'top-up', ledger.funding_account($3), $3, $4)`
    return await this.#answer(ask, call, [account, amount])
  }

  async hold(ask: Ask, { account, payee, amount }: RequestedHold): Promise<Answer> {
    return await this.#answer(ask, 'ledger.hold($1, $2, $3, $4, $5)', [account, payee, amount])
  }

  /** Without an amount: all that is left. */
  async closeHold(ask: Ask, { verb, hold, amount = null }: RequestedClosing): Promise<Answer> {
    return await this.#answer(ask, 'ledger.close_hold($1, $2, $3, $4, $5)', [verb, hold, amount])
  }

  async refund(ask: Ask, transfer: string, amount: number): Promise<Answer> {
    return await this.#answer(ask, 'ledger.refund($1, $2, $3, $4)', [transfer, amount])
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

  async #answer(ask: Ask, call: string, parameters: readonly unknown[]): Promise<Answer> {
    const text = `SELECT status, body, replayed FROM ${call}`
    const rows = await this.#run<Answer>(text, [ask.key, ask.hash, ...parameters], () => ask.isAbandoned())
    const answer = rows[0]
    if (answer === undefined) throw new StoreUnavailable('unknown', new Error('no row'))
    return answer
  }

  async #run<Row extends object>(
    text: string,
    parameters: readonly unknown[],
    isAbandoned = () => false,
  ): Promise<Row[]> {
    const client = await this.#connect()
    // 1. More come than can be served, 2. each waits here longer than its client does, 3. so all work is for nobody, and
    // every answer comes too late. Whoever is gone asks again with the same key.
    if (isAbandoned()) {
      client.release()
      throw new StoreUnavailable('not-done', new Error('nobody waits for it'))
    }
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
