/**
 * Transactions of AMQP 1.0 (OASIS, part 4) around a session of rhea, which has none: a coordinator link that declares
 * and discharges them, and a state on each transfer that names its transaction. Several may be open at once; the broker
 * keeps what a transfer brings until the commit, which is durable when it is answered.
 */
import { once } from 'node:events'
import { invariant } from '@replatform/core/errors'
import rhea, { type Connection, type Delivery, type EventContext, type Sender, type Session } from 'rhea'

const { types } = rhea
const message = rhea.message as unknown as { accepted(): { described(): Described } }

export type TransactionId = Buffer

/** What is used of rhea beyond its typings. */
interface Described {
  readonly descriptor: { readonly value: number }
  readonly value: readonly unknown[]
}
interface SessionInternals {
  readonly outgoing: { on_disposition(fields: { first: number; state?: Described }): void }
  output(frame: { delivery_tag?: Buffer; value: unknown[] }, payload?: Buffer): void
  create_sender(name: string, options: object): Sender & CoordinatorInternals
}
interface CoordinatorInternals {
  readonly local: { readonly attach: { target?: unknown } }
  set_source(fields: object): void
  attach(): void
  on_attach(frame: { readonly performative: { target?: unknown } }): void
}

/** What waits for credit, in its order. */
type Line = { readonly sender: Sender; readonly send: () => void }[]

const declared = 0x33
const transactional = 0x34
const coordinator = 0x30
/** Index of `state` among the fields of a transfer. */
const stateField = 7

export type Outcome =
  | { readonly kind: 'accepted' }
  | { readonly kind: 'refused'; readonly condition: string; readonly description: string }

export class TransactionalSession {
  readonly session: Session
  readonly #coordinator: Sender
  readonly #transactionOf = new Map<string, unknown>()
  readonly #declared = new Map<number, TransactionId>()
  readonly #waiting = new Map<number, (outcome: Outcome) => void>()
  readonly #lines = new Map<Sender, Line>()
  #tags = 0

  private constructor(session: Session, coordinatorLink: Sender) {
    this.session = session
    this.#coordinator = coordinatorLink
  }

  static async open(connection: Connection): Promise<TransactionalSession> {
    const session = (connection as unknown as { create_session(): Session }).create_session()
    session.begin()
    await once(session, 'session_open')
    const internals = session as unknown as SessionInternals
    const link = internals.create_sender(`coordinator-${Math.random()}`, {})
    link.set_source({})
    link.local.attach.target = types.described(types.wrap_ulong(coordinator), types.wrap_list([]))
    // rhea knows no target of this kind and would complain of the broker's.
    const onAttach = link.on_attach.bind(link)
    link.on_attach = (frame) => {
      frame.performative.target = undefined
      onAttach(frame)
    }
    link.attach()
    await once(link, 'sendable')
    const opened = new TransactionalSession(session, link)
    link.on('settled', ({ delivery }: EventContext) => delivery && opened.#settled(delivery))
    opened.#intercept(internals)
    return opened
  }

  /**
   * A link that others can see the credit of; settled deliveries are reported by `send`. `inLineWith` another: what is
   * sent by both keeps its order, whichever of them has to wait for credit.
   */
  async openSender(address: string, { inLineWith }: { readonly inLineWith?: Sender } = {}): Promise<Sender> {
    const sender = this.session.open_sender(address)
    await Promise.race([
      once(sender, 'sendable'),
      once(sender, 'sender_error').then(() => Promise.reject(sender.error)),
    ])
    sender.on('settled', ({ delivery }: EventContext) => delivery && this.#settled(delivery))
    const line = (inLineWith && this.#lines.get(inLineWith)) ?? []
    this.#lines.set(sender, line)
    sender.on('sendable', () => {
      while (line[0]?.sender.sendable()) line.shift()?.send()
    })
    return sender
  }

  async declare(): Promise<TransactionId> {
    const delivery = await this.#ask(Buffer.of(0, 0x53, 0x77, 0, 0x53, 0x31, 0x45))
    const id = this.#declared.get(delivery)
    invariant(id, 'A declared transaction has an id.')
    this.#declared.delete(delivery)
    return id
  }

  /** Durable, all of it, when this resolves. Rejects when the broker rolled back instead. */
  async commit(id: TransactionId): Promise<void> {
    await this.#discharge(id, false)
  }

  async rollBack(id: TransactionId): Promise<void> {
    await this.#discharge(id, true)
  }

  /** As `send`, in turn, as soon as the broker gives credit. */
  sendWhenPossible(sender: Sender, encoded: Buffer, id: TransactionId, outcome: (outcome: Outcome) => void): void {
    const line = this.#lines.get(sender)
    if (!line) throw new Error('a sender of another session')
    if (line.length === 0 && sender.sendable()) this.send(sender, encoded, id, outcome)
    else line.push({ sender, send: () => this.send(sender, encoded, id, outcome) })
  }

  /** Call only while the sender has credit. `id` undefined sends outside of any transaction. Answers with its number. */
  send(sender: Sender, encoded: Buffer, id: TransactionId | undefined, outcome: (outcome: Outcome) => void): number {
    const tag = Buffer.from(`t${this.#tags++}`)
    if (id) this.#transactionOf.set(tag.toString('latin1'), stateOf(id))
    const delivery = send(sender, encoded, tag)
    this.#waiting.set(delivery.id, outcome)
    return delivery.id
  }

  #intercept(internals: SessionInternals): void {
    const output = internals.output.bind(internals)
    internals.output = (frame, payload) => {
      // Every frame of a message in pieces carries its tag.
      const state = frame.delivery_tag && this.#transactionOf.get(frame.delivery_tag.toString('latin1'))
      if (state) frame.value[stateField] = state
      output(frame, payload)
    }
    const { outgoing } = internals
    const onDisposition = outgoing.on_disposition.bind(outgoing)
    outgoing.on_disposition = (fields) => {
      const { state } = fields
      if (state?.descriptor.value === transactional) {
        fields.state = (state.value[1] as Described | undefined) ?? message.accepted().described()
      } else if (state?.descriptor.value === declared) {
        this.#declared.set(fields.first, (state.value[0] as { readonly value: Buffer }).value)
        fields.state = message.accepted().described()
      }
      onDisposition(fields)
    }
  }

  #settled(delivery: Delivery): void {
    this.#transactionOf.delete(delivery.tag.toString('latin1'))
    const outcome = this.#waiting.get(delivery.id)
    this.#waiting.delete(delivery.id)
    outcome?.(outcomeOf(delivery))
  }

  #discharge(id: TransactionId, fail: boolean): Promise<number> {
    const head = Buffer.of(0, 0x53, 0x77, 0, 0x53, 0x32, 0xc0, id.length + 4, 2, 0xa0, id.length)
    return this.#ask(Buffer.concat([head, id, Buffer.of(fail ? 0x41 : 0x42)]))
  }

  /** Answers with the number of the delivery. Rejects when the coordinator did; for ever open when the link ends. */
  #ask(request: Buffer): Promise<number> {
    return new Promise((resolve, reject) => {
      const delivery = this.send(this.#coordinator, request, undefined, (outcome) => {
        if (outcome.kind === 'accepted') resolve(delivery)
        else reject(new Error(`${outcome.condition}: ${outcome.description}`))
      })
    })
  }
}

function send(sender: Sender, encoded: Buffer, tag: Buffer): Delivery {
  return sender.send(encoded as never, tag, 0)
}

function stateOf(id: TransactionId): unknown {
  return types.described(types.wrap_ulong(transactional), types.wrap_list([types.wrap_binary(id)]))
}

function outcomeOf({ remote_state: state }: Delivery): Outcome {
  const kind = (state?.constructor as { composite_type?: string } | undefined)?.composite_type
  if (kind === 'accepted') return { kind: 'accepted' }
  const { error } = (state ?? {}) as { error?: { condition?: string; description?: string } }
  return { kind: 'refused', condition: error?.condition ?? kind ?? 'no outcome', description: error?.description ?? '' }
}
