/**
 * ActiveMQ as either side of a bridge. Two kinds of connections: those with a name of the move, which write, read and
 * hold markers, and of each of which the broker admits only one; and one without, which looks.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type {
  Broker,
  Ledger,
  LedgerEntry,
  QueueFacts,
  QueueReading,
  ReadOptions,
  SourceRun,
  TapResult,
} from '@replatform/connector-rabbitmq/brokers'
import type { MessageSink, SinkEvents } from '@replatform/connector-rabbitmq/message-sink'
import type { QueuePlan } from '@replatform/connector-rabbitmq/queue-plan'
import { Tap } from '@replatform/connector-rabbitmq/tap'
import type { Decision } from '@replatform/core/connector'
import { invariant, ReplatformError, toReplatformError } from '@replatform/core/errors'
import { type FenceLimits, type FenceOrder, isOrderDue, rankAfter } from '@replatform/core/fence-order'
import type { Side } from '@replatform/core/move'
import { fenceActivemq, requireAlone } from './activemq-fence.ts'
import { RecordLedger, readLedger } from './activemq-ledger.ts'
import type { PlannedQueue } from './activemq-plan.ts'
import { readActivemqQueue } from './activemq-reader.ts'
import { QueueTap } from './activemq-tap.ts'
import { type ActivemqAddress, parseActivemqAddress } from './address.ts'
import { type NamedConnection, openConnection } from './broker-connection.ts'
import { Jolokia } from './jolokia.ts'
import { connectionName, controlQueue, isOwnQueue, laneName, ledgerQueue, markerQueue, tapQueue } from './own-names.ts'
import { readRecord, writeRecord } from './record-queue.ts'
import { TransactionSink } from './transaction-sink.ts'

export interface ActivemqBrokerOptions {
  readonly move: string
  readonly side: Side
  readonly url: string
  /** Address on this broker of a queue of the other, for replies. */
  readonly replyAddress: (queue: string) => string | undefined
}

/** What stands on the broker about the move, each in a record of its own. */
interface Control {
  readonly epoch: number
  readonly fence: boolean
  /** The rank of the newest order to the fence; see fence-order.ts. */
  readonly turn: number
  readonly decisions: readonly Decision[]
}

/** The broker drops a connection that is silent for 30 s. */
const nameWithinMs = 40_000
/** Beside the first: what they store overlaps with its commits. More brought nothing. */
const furtherLanes = 3

export class ActivemqBroker implements Broker {
  readonly address: ActivemqAddress
  readonly jolokia: Jolokia
  readonly #options: ActivemqBrokerOptions
  /** The first holds the epoch; the others only write. */
  #named: NamedConnection[] = []
  #looking: Promise<NamedConnection> | null = null
  #epoch = 0
  /** Since this mover took its epoch. */
  #tap = new Tap()

  constructor(options: ActivemqBrokerOptions) {
    this.address = parseActivemqAddress(options.url)
    this.jolokia = new Jolokia(this.address, options.side)
    this.#options = options
  }

  facts(): Promise<QueueFacts[]> {
    return this.jolokia.facts()
  }

  /** Its id is another one in each run. */
  async run(): Promise<SourceRun> {
    return { [await this.jolokia.brokerId()]: 0 }
  }

  async depths(queues: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const all = new Map((await this.jolokia.facts()).map(({ name, ready }) => [name, ready]))
    return new Map(queues.map((queue) => [queue, all.get(queue) ?? 0]))
  }

  async read(options: ReadOptions): Promise<QueueReading> {
    const [{ connection, lost }] = this.#writers()
    return readActivemqQueue(connection, lost, options)
  }

  async openSink(options: { queue: QueuePlan; address: string; events: SinkEvents }): Promise<MessageSink> {
    const writers = this.#writers()
    const [first, ...further] = writers
    const { queue, address, events } = options
    const { maxPriority, ttlMs } = queue as Partial<PlannedQueue>
    const epoch = this.#epoch
    const tap = queue.tap === undefined ? undefined : await this.#tapOf(queue, address, queue.tap)
    return TransactionSink.open({
      connections: [first.connection, ...further.map(({ connection }) => connection)],
      lost: Promise.race(writers.map(({ lost }) => lost)),
      queue: address,
      keepsOrder: queue.order === 'kept',
      markerQueue: queue.delivery === 'exactly-once' ? markerQueue(this.#options.move, address) : undefined,
      rules: { maxPriority, queueTtlMs: ttlMs, replyAddress: this.#options.replyAddress },
      tap,
      events,
      requireEpoch: () => this.#requireEpoch(epoch),
    })
  }

  async openLedger(): Promise<Ledger> {
    const [{ connection, lost }] = this.#writers()
    return RecordLedger.open(connection, ledgerQueue(this.#options.move), lost)
  }

  readLedger(): Promise<LedgerEntry[]> {
    return this.look(({ connection }) => readLedger(connection, ledgerQueue(this.#options.move)))
  }

  async tapped({ withinMs }: { readonly withinMs: number }): Promise<ReadonlyMap<string, TapResult>> {
    await this.#tap.settle(withinMs)
    return this.#tap.results
  }

  async recordDecision(decision: Decision): Promise<void> {
    const decisions = (await this.#read('decisions')) ?? []
    if (decisions.some(({ id }) => id === decision.id)) return
    await this.#write('decisions', [...decisions, decision])
  }

  async fence({ withinMs, turn }: FenceLimits): Promise<void> {
    await this.#takeTurn({ verb: 'fence', turn })
    await this.#write('fence', true)
    // As a target it has no producers yet, and consumers that go first are meant to be there.
    if (this.#options.side === 'target') return
    try {
      // The rest is for undoing it: a step that reaches its budget is ended and could not say who is there.
      await fenceActivemq(this.jolokia, { withinMs: withinMs * 0.6 })
    } catch (thrown) {
      await this.#write('fence', false)
      throw thrown
    }
  }

  async unfence({ turn }: Pick<FenceLimits, 'turn'>): Promise<void> {
    if (!(await this.#takeTurn({ verb: 'unfence', turn }))) return
    if (await this.isFenced()) await this.#write('fence', false)
  }

  /**
   * Makes the broker remember the turn. False where there is nothing to do. Throws `fence.superseded`. Two records cannot
   * be changed in one stroke: an order whose write was under way when a later turn began can still be carried out.
   */
  async #takeTurn(order: FenceOrder): Promise<boolean> {
    const seen = (await this.#read('turn')) ?? null
    if (!isOrderDue(order, seen, `ActiveMQ of the ${this.#options.side}`)) return false
    const rank = rankAfter(order, seen)
    if (rank !== seen) await this.#write('turn', rank)
    return true
  }

  async isFenced(): Promise<boolean> {
    return (await this.#read('fence')) === true
  }

  async requireFenced(): Promise<void> {
    if (!(await this.isFenced())) {
      throw new ReplatformError('fence.not-held', { message: `ActiveMQ of the ${this.#options.side} is not fenced.` })
    }
    if (this.#options.side === 'source') await requireAlone(this.jolokia)
  }

  async readEpoch(): Promise<number> {
    return (await this.#read('epoch')) ?? 0
  }

  async takeEpoch(epoch: number): Promise<void> {
    if ((await this.readEpoch()) > epoch) throw superseded()
    await this.#takeNames()
    // Whoever had the name may have written while we waited for it.
    if ((await this.readEpoch()) > epoch) {
      await this.#dropNames()
      throw superseded()
    }
    await this.#write('epoch', epoch)
    this.#epoch = epoch
    this.#tap = new Tap()
  }

  async cleanUp(): Promise<void> {
    const isFenced = await this.isFenced()
    await this.#dropNames()
    const { move } = this.#options
    const kept = [controlQueue(move, 'fence'), controlQueue(move, 'turn')]
    for (const { name } of await this.facts()) {
      if (isOwnQueue(move, name) && !(isFenced && kept.includes(name))) await this.jolokia.removeQueue(name)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dropNames()
    await this.#looking?.then((held) => held[Symbol.asyncDispose]()).catch(() => undefined)
  }

  /** With a connection that has no part in the epoch; opens it anew where it was lost. */
  async look<T>(work: (held: NamedConnection) => Promise<T>): Promise<T> {
    this.#looking ??= this.#openLooking()
    const held = await this.#looking.catch((thrown) => {
      this.#looking = null
      throw thrown
    })
    try {
      return await Promise.race([work(held), held.lost])
    } catch (thrown) {
      if (toReplatformError(thrown).code === 'activemq.no-answer') await this.#dropLooking(held)
      throw thrown
    }
  }

  /** One that answers no more: the next look opens another. */
  async #dropLooking(held: NamedConnection): Promise<void> {
    this.#looking = null
    await held[Symbol.asyncDispose]()
  }

  async #openLooking(): Promise<NamedConnection> {
    const { move, side } = this.#options
    const name = `${connectionName(move)}-looks-${process.pid}-${Math.random().toString(36).slice(2)}`
    const held = await openConnection({ address: this.address, side, name })
    held.lost.catch(() => {
      this.#looking = null
    })
    return held
  }

  /** All of them before anything is written: whoever had one of them could still commit. */
  async #takeNames(): Promise<void> {
    if (this.#named.length > furtherLanes) return
    await this.#dropNames()
    const { move } = this.#options
    const names = [connectionName(move), ...Array.from({ length: furtherLanes }, (_, lane) => laneName(move, lane + 1))]
    for (const name of names) await this.#takeName(name)
  }

  /** Ends the connection that has the name where Jolokia allows it, and waits for its end in any case. */
  async #takeName(name: string): Promise<void> {
    const { side } = this.#options
    const deadline = performance.now() + nameWithinMs
    for (;;) {
      try {
        const held = await openConnection({ address: this.address, side, name })
        this.#named.push(held)
        held.lost.catch(() => {
          this.#named = this.#named.filter((one) => one !== held)
        })
        return
      } catch (thrown) {
        const { code } = toReplatformError(thrown)
        if (code !== 'epoch.superseded' || performance.now() > deadline) throw thrown
        await this.#endHolder(name)
        await delay(100)
      }
    }
  }

  async #endHolder(name: string): Promise<void> {
    const holders = (await this.jolokia.connections()).filter(({ client }) => client === name)
    for (const holder of holders) await this.jolokia.endConnection(holder)
  }

  async #dropNames(): Promise<void> {
    await Promise.all(this.#named.splice(0).map((held) => held[Symbol.asyncDispose]()))
  }

  /** What an earlier mover had copied says nothing any more. */
  async #tapOf(queue: QueuePlan, address: string, every: number): Promise<QueueTap> {
    const copies = tapQueue(this.#options.move, address)
    await this.jolokia.removeQueue(copies)
    const hasOtherLife = (queue as Partial<PlannedQueue>).ttlMs !== undefined
    const [{ connection }] = this.#writers()
    return new QueueTap({
      connection,
      name: queue.name,
      queue: address,
      tapQueue: copies,
      every,
      hasOtherLife,
      tap: this.#tap,
    })
  }

  #writers(): [NamedConnection, ...NamedConnection[]] {
    invariant(this.#epoch > 0, 'An epoch is taken before the bridge opens.')
    const [first, ...further] = this.#named
    if (first && further.length === furtherLanes) return [first, ...further]
    throw new ReplatformError('connection.lost', {
      message: `A connection to ActiveMQ of the ${this.#options.side} was lost.`,
    })
  }

  #requireEpoch(epoch: number): void {
    if (epoch !== this.#epoch) throw superseded()
  }

  async #read<Name extends keyof Control>(name: Name): Promise<Control[Name] | undefined> {
    const queue = controlQueue(this.#options.move, name)
    return (await this.look(({ connection }) => readRecord<Control[Name]>(connection, queue)))?.value
  }

  async #write<Name extends keyof Control>(name: Name, value: Control[Name]): Promise<void> {
    const queue = controlQueue(this.#options.move, name)
    await this.look(async ({ connection }) => {
      const version = ((await readRecord(connection, queue))?.version ?? 0) + 1
      await writeRecord(connection, queue, { version, value })
    })
  }
}

function superseded(): ReplatformError {
  return new ReplatformError('epoch.superseded', { message: 'Another mover has taken a higher epoch on ActiveMQ.' })
}
