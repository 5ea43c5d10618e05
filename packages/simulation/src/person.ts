import type { Operation, OperationVerb } from '@replatform/control/api-types'
import { ReplatformError } from '@replatform/core/errors'
import { mostLateMs } from './network.ts'
import { never, type SimProcess } from './sim-process.ts'
import type { SimWorker } from './sim-worker.ts'
import type { World } from './world.ts'

export interface PersonOptions {
  readonly world: World
  readonly process: SimProcess
  readonly wave: string
  readonly moves: readonly string[]
  /** How many cutovers and rollbacks are asked for in all. */
  readonly cutovers: number
  /** Those that answer. */
  readonly workers: () => readonly SimWorker[]
  /** Told before anything is asked. */
  readonly onAsk: () => void
}

type Asked = { readonly verb: OperationVerb; readonly move: string | null }

/**
 * Somebody at a terminal: cuts the wave over and back, looks how it ends, resumes what is paused, and now and then asks
 * for something else meanwhile, or for the same twice. Asks whichever worker answers.
 */
export class Person {
  readonly #options: PersonOptions
  asked = 0
  isDone = false

  constructor(options: PersonOptions) {
    this.#options = options
    void this.#live()
  }

  async #live(): Promise<void> {
    const { world, process, cutovers } = this.#options
    while (this.asked < cutovers) {
      // A person asks again only when what was on its way has arrived.
      await process.clock.sleep(mostLateMs + world.random.pick([50, 200, 800]))
      if (await this.#resumePaused()) continue
      if (world.random.chance(0.15)) await this.#asideOf(world.random.pick(this.#options.moves))
      await this.#switchOver()
    }
    this.isDone = true
    for (;;) {
      await process.clock.sleep(500)
      await this.#resumePaused()
    }
  }

  async #switchOver(): Promise<void> {
    const { world, wave } = this.#options
    const state = (await this.#moves())?.[0]?.state
    const verb = state === 'reversing' ? 'rollback' : state === 'in-sync' || state === 'rolled-back' ? 'cutover' : null
    if (!verb) return
    world.tell(this.#options.process.name, `asks for a ${verb}, from ${state}`)
    this.#options.onAsk()
    const first = this.#ask((worker) => worker.desk.askWave(verb, wave, { actor: 'person@home' }))
    if (world.random.chance(0.2)) {
      world.strike('asked twice', this.#options.process.name, `another ${verb}`)
      // The second one is refused while the first runs, and has an end of its own where it does not.
      void this.#ask((worker) => worker.desk.askWave(verb, wave, { actor: 'colleague@home' }))
    }
    const operation = await first
    if (!operation) return
    await this.#end(operation.id)
    this.asked += 1
  }

  /** Something else of one move, beside the cutovers. */
  async #asideOf(move: string): Promise<void> {
    const verb = this.#options.world.random.pick(['compare', 'pause'] as const)
    const operation = await this.#askMove({ verb, move })
    if (operation && this.#options.world.random.chance(0.5)) await this.#end(operation.id)
  }

  /** Returns whether something was paused. */
  async #resumePaused(): Promise<boolean> {
    const paused = (await this.#moves())?.filter((move) => move.paused)
    if (!paused) return true
    for (const { name } of paused) {
      const operation = await this.#askMove({ verb: 'resume', move: name })
      if (operation) await this.#end(operation.id)
    }
    return paused.length > 0
  }

  #moves() {
    return this.#ask((worker) => worker.moves())
  }

  #askMove({ verb, move }: Asked): Promise<Operation | undefined> {
    return this.#ask((worker) => worker.desk.ask(verb, move ?? '', { actor: 'person@home' }))
  }

  /** Looks until it has ended, or until nobody knows of it any more. */
  async #end(id: string): Promise<void> {
    for (;;) {
      await this.#options.process.clock.sleep(100)
      const seen = await this.#ask((worker) => worker.desk.look(id), true)
      if (seen === 'unknown' || (seen && seen.state !== 'running')) return
    }
  }

  async #ask<T>(act: (worker: SimWorker) => Promise<T>): Promise<T | undefined>
  async #ask<T>(act: (worker: SimWorker) => Promise<T>, tellUnknown: true): Promise<T | 'unknown' | undefined>
  async #ask<T>(act: (worker: SimWorker) => Promise<T>, tellUnknown = false): Promise<T | 'unknown' | undefined> {
    const { world, process } = this.#options
    await process.clock.sleep(1)
    const there = this.#options.workers()
    if (there.length === 0) {
      await process.clock.sleep(50)
      return undefined
    }
    try {
      return await answerOf(world.random.pick(there), process, act)
    } catch (thrown) {
      const { code } = thrown as ReplatformError
      world.tell(process.name, `is refused: ${(thrown as Error).message}`)
      return tellUnknown && code === 'operation.unknown' ? 'unknown' : undefined
    }
  }
}

/** Over a socket that breaks with the worker; who waits too long gives up. */
async function answerOf<T>(worker: SimWorker, process: SimProcess, act: (worker: SimWorker) => Promise<T>): Promise<T> {
  const timer = process.clock.timer(10_000)
  const gone = (why: string) => () => {
    throw new ReplatformError('control.unreachable', { message: `The worker ${why}.` })
  }
  const broken = worker.process.isAlive
    ? new Promise<void>((resolve) => worker.process.onExit(() => process.after(0.1, resolve)))
    : never<void>()
  try {
    return await Promise.race([
      new Promise<T>((resolve, reject) => {
        worker.process.after(0.1, () => act(worker).then(resolve, reject))
      }),
      broken.then(gone('has ended')),
      timer.elapsed.then(gone('does not answer')),
    ])
  } finally {
    timer.cancel()
  }
}
