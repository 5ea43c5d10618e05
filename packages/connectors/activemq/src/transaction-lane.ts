/**
 * One connection's part in storing a queue: its transactions, one at a time. The broker serves a connection one step
 * after the other and stands still at each commit, so several connections store more; commits keep their order, and
 * with it the queue its own.
 */
import type { Connection, Sender } from 'rhea'
import { type Outcome, TransactionalSession, type TransactionId } from './transactional-session.ts'

export interface LaneAddresses {
  readonly queue: string
  /** Leads to the queue and to a copy; undefined where nothing is copied. */
  readonly tap: string | undefined
  readonly markerQueue: string | undefined
}

export class TransactionLane {
  readonly #session: TransactionalSession
  readonly #sender: Sender
  readonly #tapSender: Sender | undefined
  readonly #markerSender: Sender | undefined
  /** Declared ahead, so that no batch waits for an answer before it goes. */
  #next: Promise<TransactionId> | undefined
  readonly #open = new Set<TransactionId>()

  static async open(connection: Connection, { queue, tap, markerQueue }: LaneAddresses): Promise<TransactionLane> {
    const session = await TransactionalSession.open(connection)
    const sender = await session.openSender(`queue://${queue}`)
    const tapSender = tap === undefined ? undefined : await session.openSender(tap, { inLineWith: sender })
    const markerSender = markerQueue === undefined ? undefined : await session.openSender(`queue://${markerQueue}`)
    return new TransactionLane({ session, sender, tapSender, markerSender })
  }

  private constructor({ session, sender, tapSender, markerSender }: LaneParts) {
    this.#session = session
    this.#sender = sender
    this.#tapSender = tapSender
    this.#markerSender = markerSender
  }

  /** Calls with the link that the broker has ended. */
  onLinkEnd(ended: (link: Sender) => void): void {
    for (const link of [this.#sender, this.#tapSender, this.#markerSender]) {
      for (const event of ['sender_error', 'sender_close']) link?.on(event, () => ended(link))
    }
  }

  async begin(): Promise<TransactionId> {
    const id = await (this.#next ?? this.#session.declare())
    this.#next = undefined
    this.#open.add(id)
    return id
  }

  send(id: TransactionId, encoded: Buffer, isTapped: boolean, settled: (outcome: Outcome) => void): void {
    this.#session.sendWhenPossible((isTapped && this.#tapSender) || this.#sender, encoded, id, settled)
  }

  sendMarker(id: TransactionId, encoded: Buffer): Promise<Outcome> | undefined {
    const sender = this.#markerSender
    return sender && new Promise((resolve) => this.#session.sendWhenPossible(sender, encoded, id, resolve))
  }

  async commit(id: TransactionId): Promise<void> {
    this.#open.delete(id)
    const committed = this.#session.commit(id)
    this.#next = this.#session.declare()
    this.#next.catch(() => undefined)
    await committed
  }

  async rollBack(id: TransactionId): Promise<void> {
    await this.#session.rollBack(id)
    this.#open.delete(id)
  }

  /** What is open would stay so as long as the connection. For ever open when that is gone. */
  async undo(): Promise<void> {
    const next = this.#next ? [await this.#next.catch(() => undefined)].flatMap((id) => id ?? []) : []
    await Promise.all([...this.#open, ...next].map((id) => this.#session.rollBack(id).catch(() => undefined)))
  }

  close(): void {
    this.#session.session.close()
  }
}

interface LaneParts {
  readonly session: TransactionalSession
  readonly sender: Sender
  readonly tapSender: Sender | undefined
  readonly markerSender: Sender | undefined
}
