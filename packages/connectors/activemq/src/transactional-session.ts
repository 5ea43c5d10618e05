/**
 * Transactions of AMQP 1.0 (OASIS, part 4) on a session of rhea, which has none: a coordinator link that declares and
 * discharges them, and transfers that name their transaction. Several may be open at once; the broker keeps what a
 * transfer brings until the commit, which is durable when it is answered. rhea opens session and links and tells of
 * credit; every delivery of this session is ours, numbered, written and settled here.
 */
import { once } from 'node:events'
import { invariant } from '@replatform/core/errors'
import rhea, { type Connection, type Sender, type Session } from 'rhea'
import { answerOf } from './answer.ts'
import { type TransferHead, TransferWriter, transferHead } from './transfer-writer.ts'

const { types } = rhea
const { unwrap_outcome: unwrapOutcome } = rhea.message as unknown as { unwrap_outcome(state: Described): RheaOutcome }

export type TransactionId = Buffer

/** What is used of rhea beyond its typings. */
interface Described {
  readonly descriptor: { readonly value: number }
  readonly value: readonly unknown[]
}
interface Disposition {
  readonly first: number
  readonly last?: number
  readonly settled?: boolean
  readonly state?: Described
}
interface RheaOutcome {
  readonly constructor: { readonly composite_type?: string }
  readonly error?: { readonly condition?: string; readonly description?: string }
}
interface SessionInternals {
  readonly local: { readonly channel: number }
  readonly outgoing: {
    window: number
    next_transfer_id: number
    transfer_window(): number
    on_disposition(fields: Disposition): void
    on_flow(fields: object): void
  }
  output(frame: object, payload?: Buffer): void
  create_sender(name: string, options: object): Sender & LinkInternals
}
interface LinkInternals {
  readonly local: { readonly handle: number; readonly attach: { target?: unknown } }
  credit: number
  delivery_count: number
  set_source(fields: object): void
  attach(): void
  on_attach(frame: { readonly performative: { target?: unknown } }): void
}

/** A message for a link; `transaction` undefined sends outside of any. */
interface Transfer {
  readonly sender: Sender
  readonly encoded: Buffer
  readonly transaction: TransactionId | undefined
  readonly settled: OnSettled
}

/** `declared`: the transaction that the coordinator has begun. */
type OnSettled = (outcome: Outcome, declared?: TransactionId) => void

const accepted = 0x24
const declared = 0x33
const transactional = 0x34
const coordinator = 0x30

export type Outcome =
  | { readonly kind: 'accepted' }
  | { readonly kind: 'refused'; readonly condition: string; readonly description: string }

const isAccepted: Outcome = { kind: 'accepted' }

export class TransactionalSession {
  readonly session: Session
  readonly #internals: SessionInternals
  readonly #coordinator: Sender
  readonly #writer: TransferWriter
  readonly #waiting = new Map<number, OnSettled>()
  /** What waits for credit, in its order. */
  readonly #lines = new Map<Sender, Transfer[]>()
  readonly #heads = new Map<Sender, { readonly transaction: TransactionId | undefined; readonly head: TransferHead }>()
  #nextDelivery = 0
  #isFlushing = false

  private constructor(connection: Connection, session: Session, coordinatorLink: Sender) {
    this.session = session
    this.#internals = session as unknown as SessionInternals
    this.#coordinator = coordinatorLink
    this.#writer = new TransferWriter(connection)
  }

  static async open(connection: Connection): Promise<TransactionalSession> {
    const session = (connection as unknown as { create_session(): Session }).create_session()
    session.begin()
    await answerOf(session, 'session_open', { what: 'opening a session' })
    const link = (session as unknown as SessionInternals).create_sender(`coordinator-${Math.random()}`, {})
    link.set_source({})
    link.local.attach.target = types.described(types.wrap_ulong(coordinator), types.wrap_list([]))
    // rhea knows no target of this kind and would complain of the broker's.
    const onAttach = link.on_attach.bind(link)
    link.on_attach = (frame) => {
      frame.performative.target = undefined
      onAttach(frame)
    }
    link.attach()
    await answerOf(link, 'sendable', { what: 'opening transactions' })
    const opened = new TransactionalSession(connection, session, link)
    opened.#takeOver()
    opened.#line(link)
    return opened
  }

  /** `inLineWith` another: what is sent by both keeps its order, whichever of them has to wait for credit. */
  async openSender(address: string, { inLineWith }: { readonly inLineWith?: Sender } = {}): Promise<Sender> {
    const sender = this.session.open_sender(address)
    await Promise.race([
      answerOf(sender, 'sendable', { what: `opening ${address}` }),
      once(sender, 'sender_error').then(() => Promise.reject(sender.error)),
    ])
    this.#line(sender, inLineWith)
    return sender
  }

  /** For ever open when the link ends; so are commits and what is sent. */
  async declare(): Promise<TransactionId> {
    const id = await this.#ask(Buffer.of(0, 0x53, 0x77, 0, 0x53, 0x31, 0x45))
    invariant(id, 'A declared transaction has an id.')
    return id
  }

  /** Durable, all of it, when this resolves. Rejects when the broker rolled back instead. */
  async commit(id: TransactionId): Promise<void> {
    await this.#discharge(id, false)
  }

  async rollBack(id: TransactionId): Promise<void> {
    await this.#discharge(id, true)
  }

  /** In turn, as soon as the broker gives credit. */
  sendWhenPossible(
    sender: Sender,
    encoded: Buffer,
    transaction: TransactionId | undefined,
    settled: (outcome: Outcome) => void,
  ): void {
    this.#enqueue({ sender, encoded, transaction, settled })
  }

  #enqueue(transfer: Transfer): void {
    const line = this.#lines.get(transfer.sender)
    invariant(line, 'A sender belongs to the session that sends.')
    if (line.length > 0 || !this.#send(transfer)) line.push(transfer)
  }

  #line(sender: Sender, inLineWith?: Sender): void {
    const line = (inLineWith && this.#lines.get(inLineWith)) ?? []
    this.#lines.set(sender, line)
    sender.on('sendable', () => this.#advance(line))
  }

  #advance(line: Transfer[]): void {
    let sent = 0
    for (const transfer of line) {
      if (!this.#send(transfer)) break
      sent++
    }
    line.splice(0, sent)
  }

  /** False where credit of the link or the window of the session does not suffice. */
  #send({ sender, encoded, transaction, settled }: Transfer): boolean {
    const link = sender as unknown as LinkInternals
    const { outgoing } = this.#internals
    const head = this.#head(sender, transaction)
    const frames = this.#writer.framesOf(head, encoded.length)
    if (link.credit <= 0 || !(outgoing.transfer_window() >= frames)) return false
    outgoing.next_transfer_id += frames
    outgoing.window -= frames
    link.credit--
    link.delivery_count++
    const id = this.#nextDelivery++
    this.#waiting.set(id, settled)
    this.#writer.write(head, id, encoded)
    this.#flushSoon()
    return true
  }

  #head(sender: Sender, transaction: TransactionId | undefined): TransferHead {
    const last = this.#heads.get(sender)
    if (last && last.transaction === transaction) return last.head
    const { channel } = this.#internals.local
    const { handle } = (sender as unknown as LinkInternals).local
    const head = transferHead({ channel, handle, transaction })
    this.#heads.set(sender, { transaction, head })
    return head
  }

  #flushSoon(): void {
    if (this.#isFlushing) return
    this.#isFlushing = true
    queueMicrotask(() => {
      this.#isFlushing = false
      this.#writer.flush()
    })
  }

  #takeOver(): void {
    const { outgoing } = this.#internals
    const output = this.#internals.output.bind(this.#internals)
    this.#internals.output = (frame, payload) => {
      // It may tell how many transfers were sent.
      this.#writer.flush()
      output(frame, payload)
    }
    outgoing.on_disposition = (disposition) => this.#onDisposition(disposition)
    const onFlow = outgoing.on_flow.bind(outgoing)
    outgoing.on_flow = (fields) => {
      onFlow(fields)
      for (const line of new Set(this.#lines.values())) if (line.length > 0) this.#advance(line)
    }
  }

  #onDisposition({ first, last = first, settled, state }: Disposition): void {
    if (!settled) return
    const isDeclared = state?.descriptor.value === declared
    const transaction = isDeclared ? (state.value[0] as { readonly value: Buffer }).value : undefined
    const outcome = isDeclared ? isAccepted : outcomeOf(state)
    for (let id = first; id <= last; id++) {
      const onSettled = this.#waiting.get(id)
      this.#waiting.delete(id)
      onSettled?.(outcome, transaction)
    }
  }

  #discharge(id: TransactionId, fail: boolean): Promise<unknown> {
    const head = Buffer.of(0, 0x53, 0x77, 0, 0x53, 0x32, 0xc0, id.length + 4, 2, 0xa0, id.length)
    return this.#ask(Buffer.concat([head, id, Buffer.of(fail ? 0x41 : 0x42)]))
  }

  /** Rejects when the coordinator did. */
  #ask(encoded: Buffer): Promise<TransactionId | undefined> {
    return new Promise((resolve, reject) => {
      const settled: OnSettled = (outcome, begun) => {
        if (outcome.kind === 'accepted') resolve(begun)
        else reject(new Error(`${outcome.condition}: ${outcome.description}`))
      }
      this.#enqueue({ sender: this.#coordinator, encoded, transaction: undefined, settled })
    })
  }
}

function outcomeOf(state: Described | undefined): Outcome {
  const inner = state?.descriptor.value === transactional ? (state.value[1] as Described | undefined) : state
  // A transaction that names no outcome has taken the delivery; a state that is missing says nothing.
  if (inner?.descriptor.value === accepted || (!inner && state)) return isAccepted
  if (!inner) return { kind: 'refused', condition: 'no outcome', description: '' }
  const refusal = unwrapOutcome(inner)
  return {
    kind: 'refused',
    condition: refusal.error?.condition ?? refusal.constructor.composite_type ?? 'no outcome',
    description: refusal.error?.description ?? '',
  }
}
