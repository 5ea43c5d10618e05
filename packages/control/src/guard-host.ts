/** The guard's own process; see `cutover-guard.ts`. It needs no control database, only the record of decisions. */
import { join } from 'node:path'
import type { Log, Mover } from '@replatform/core/connector'
import type { EstateWave } from '@replatform/core/estate'
import type { Direction } from '@replatform/core/move'
import type { Routing } from '@replatform/core/routing'
import { type Clock, systemClock } from '@replatform/engine/clock'
import { recoverCutover } from '@replatform/engine/cutover'
import type { CutoverParticipant } from '@replatform/engine/cutover-participant'
import type { DecisionStore } from '@replatform/engine/decision-store'
import { directFlow } from '@replatform/engine/direct-flow'
import type { MoveSpec } from '@replatform/engine/mover-protocol'
import type { FromGuard, GuardOrder, ToGuard } from './cutover-guard.ts'
import { FileDecisionStore } from './file-decision-store.ts'
import { type FlushedFiles, flushedFiles } from './flushed-file.ts'
import { StateLock } from './state-lock.ts'

export interface GuardHostOptions {
  readonly openLog: (stateDirectory: string) => Log
  readonly openMover: (spec: MoveSpec, direction: Direction, log: Log) => Mover
  readonly createRoutings: (spec: MoveSpec, log: Log) => readonly Routing[]
  readonly createGateways: (wave: EstateWave, log: Log) => readonly Routing[]
  /** For a control database that several workers share. */
  readonly openShared: (log: Log) => Promise<SharedRecord>
  readonly clock?: Clock
  /** What a simulation takes into its hands; the process's own where nothing is given. */
  readonly surroundings?: GuardSurroundings
}

export interface SharedRecord {
  readonly decisions: DecisionStore
  /** Whether nobody has closed the cutover yet: another worker may have, and gone on to the next. */
  isOpen(cutover: string): Promise<boolean>
}

export interface GuardSurroundings {
  readonly channel: GuardEnd
  readonly files: FlushedFiles
  acquireLock(name: string): Promise<AsyncDisposable | undefined>
}

/** The guard's end of the channel to its coordinator. */
export interface GuardEnd {
  send(message: FromGuard): void
  /** Returns a function that takes the handler off again. */
  onMessage(handler: (message: ToGuard) => void): () => void
  /** Resolves when the coordinator is gone. */
  readonly gone: Promise<void>
}

/** A coordinator that lives gets this long beyond its budget to notice by itself. */
export const guardSlackMs = 1_000

/** Resolves when the cutover has ended, by whomever. */
export async function serveGuard(options: GuardHostOptions): Promise<void> {
  const { clock = systemClock, surroundings = ofThisProcess() } = options
  const { channel } = surroundings
  const { order } = await nextMessage(channel, 'order')
  const host = new GuardHost(order, { ...options, clock, surroundings })
  await using _alone = await waitUntilAlone(order, surroundings, clock)
  await host.open()
  // One that ended before anything was held needs no guard, whatever becomes of the coordinator later.
  const isTold = nextMessage(channel, 'tell').then(({ tell }) => tell === 'armed')
  if (!(await Promise.race([isTold, channel.gone.then(() => false)]))) return
  const over = clock.sleep(order.budgetMs + guardSlackMs).then(() => 'overrun' as const)
  const ended = nextMessage(channel, 'tell').then(({ tell }) => (tell === 'ended' ? tell : ('failed' as const)))
  const gone = channel.gone.then(() => 'gone' as const)
  channel.send('armed')
  let event = await Promise.race([ended, gone, over])
  if (event === 'overrun' && (await host.isDecided())) event = await Promise.race([ended, gone])
  if (event !== 'ended') await host.endCutover(event)
}

class GuardHost {
  readonly #order: GuardOrder
  readonly #options: Required<GuardHostOptions>
  readonly #log: Log
  #decisions: DecisionStore | null = null
  #shared: SharedRecord | null = null

  constructor(order: GuardOrder, options: Required<GuardHostOptions>) {
    this.#order = order
    this.#options = options
    this.#log = options.openLog(order.stateDirectory)
  }

  async open(): Promise<void> {
    const { decisionsPath } = this.#order
    if (decisionsPath === null) this.#shared = await this.#options.openShared(this.#log)
    this.#decisions =
      this.#shared?.decisions ?? (await FileDecisionStore.open(decisionsPath ?? '', this.#options.surroundings.files))
    this.#options.surroundings.channel.send('ready')
  }

  /** From then on the coordinator only goes forward, and a living one needs no help. Where it cannot be told it may. */
  async isDecided(): Promise<boolean> {
    const standing = await this.#decisions?.read(this.#order.id).catch(() => undefined)
    return standing !== undefined
  }

  async endCutover(why: 'gone' | 'failed' | 'overrun'): Promise<void> {
    const { clock } = this.#options
    const log = this.#log
    const { id, direction, turn, budgetMs, moves, wave } = this.#order
    log.warn({ cutover: id, why }, 'The guard ends the cutover.')
    await using opened = new AsyncDisposableStack()
    const participants = moves.map((spec) => this.#participant(spec, opened))
    const gateways = wave ? this.#options.createGateways(wave, log).map((gateway) => opened.use(gateway)) : []
    const journal = {
      started: ({ name }: { name: string }) => log.info({ cutover: id, step: name }, 'The guard begins a step.'),
      finished: () => {},
      failed: ({ name }: { name: string }, error: unknown) =>
        log.error({ cutover: id, step: name, err: error }, 'A step of the guard failed.'),
    }
    const decisions = this.#decisions as DecisionStore
    const shared = this.#shared
    const isOurs = shared ? { isOurs: () => shared.isOpen(id) } : {}
    const recovery = { id, direction, turn, budgetMs, participants, gateways, decisions, journal, clock, ...isOurs }
    const { decision } = await recoverCutover(recovery)
    log.warn({ cutover: id, outcome: decision.outcome }, 'The guard has ended the cutover.')
  }

  #participant(spec: MoveSpec, opened: AsyncDisposableStack): CutoverParticipant {
    const open = (direction: Direction) => directFlow(opened.use(this.#options.openMover(spec, direction, this.#log)))
    const { direction } = this.#order
    return {
      name: spec.name,
      flow: open(direction),
      back: open(direction === 'forward' ? 'reverse' : 'forward'),
      // Its mover ended with the coordinator, or is refused by the epoch and the fence.
      stop: async () => {},
      kill: async () => {},
      routings: this.#options.createRoutings(spec, this.#log).map((routing) => opened.use(routing)),
    }
  }
}

/**
 * Without it: (1) a coordinator dies, and its guard is slow; (2) the next worker aborts in its place; (3) another
 * cutover is decided; (4) the guard, still aborting the first one, opens the old side again. So a guard is ready, and
 * its cutover begins, only when those of earlier cutovers have gone.
 */
async function waitUntilAlone(
  { stateDirectory, moves }: GuardOrder,
  { acquireLock }: GuardSurroundings,
  clock: Clock,
): Promise<AsyncDisposable> {
  await using locks = new AsyncDisposableStack()
  // In one order: two guards of the same moves must not wait for each other.
  for (const name of moves.map((move) => move.name).toSorted()) {
    for (let lock: AsyncDisposable | undefined; !lock; await clock.sleep(20)) {
      lock = await acquireLock(join(stateDirectory, `guard of ${name}`))
      if (lock) locks.use(lock)
    }
  }
  return locks.move()
}

function nextMessage<Key extends 'order' | 'tell'>(
  channel: GuardEnd,
  key: Key,
): Promise<Extract<ToGuard, Record<Key, unknown>>> {
  return new Promise((resolve) => {
    const takeOff = channel.onMessage((message) => {
      if (!(key in message)) return
      takeOff()
      resolve(message as Extract<ToGuard, Record<Key, unknown>>)
    })
  })
}

function ofThisProcess(): GuardSurroundings {
  return {
    channel: {
      send: (message) => {
        if (process.connected) process.send?.(message, undefined, undefined, () => {})
      },
      onMessage: (handler) => {
        process.on('message', handler)
        return () => void process.off('message', handler)
      },
      gone: new Promise((resolve) => {
        if (process.connected) process.once('disconnect', resolve)
        else resolve()
      }),
    },
    files: flushedFiles,
    acquireLock: StateLock.acquire,
  }
}
