import type { Log } from '@replatform/core/connector'
import { ReplatformError } from '@replatform/core/errors'
import { type Wave, wavesOf } from '@replatform/core/wave'
import type { ControlRecords } from './control-records.ts'
import type { HostedMove } from './hosted-move.ts'
import { HostedWave, hasEnded } from './hosted-wave.ts'
import type { HostingOffer, JobQueue } from './jobs.ts'
import type { Services } from './services.ts'

/** pg-boss ends any job after a day; a host that returns before can choose a moment outside a cutover. */
const handOverAfterMs = 12 * 60 * 60 * 1_000

/** How long something that was recorded may lie about before it is sent again. */
const remindEveryMs = 10_000

/** The waves, and so the moves, that this worker hosts. */
export class Hosting {
  readonly #services: Services
  readonly #jobs: JobQueue
  readonly #log: Log
  readonly #stopping = new AbortController()
  readonly #hosted = new Map<string, HostedWave>()
  readonly #gone = new Map<string, Promise<void>>()

  constructor(services: Services, jobs: JobQueue) {
    this.#services = services
    this.#jobs = jobs
    this.#log = services.log
  }

  get(move: string): HostedMove | undefined {
    for (const { moves } of this.#hosted.values()) {
      const found = moves.find(({ name }) => name === move)
      if (found) return found
    }
    return undefined
  }

  /** Null while the move does not follow, or where another worker hosts it. */
  lagMsOf(move: string): number | null {
    return this.get(move)?.supervisor.progress.follow()?.lagMs ?? null
  }

  async start(most: number): Promise<void> {
    await this.#jobs.hostWaves(most, {
      host: (offer, signal) => this.#hostOnce(offer, signal),
      isWanted: (offer) => isWanted(this.#services, offer.wave),
    })
  }

  /**
   * Sees to it that nothing that was recorded is forgotten: whoever recorded it may have died, or found the queue away,
   * before he sent it. Goes on until `stop`.
   */
  async remind(): Promise<void> {
    const { clock, estate } = this.#services
    while (!this.#stopping.signal.aborted) {
      await clock.sleep(remindEveryMs, this.#stopping.signal).catch(() => {})
      for (const wave of this.#stopping.signal.aborted ? [] : wavesOf(estate)) {
        await this.#remindOf(wave).catch((thrown) => {
          this.#log.warn({ wave: wave.name, err: thrown }, 'What is still to be done was not looked for.')
        })
      }
    }
  }

  async #remindOf({ name, moves }: Wave): Promise<void> {
    for (const id of await unfinished(this.#services, name)) await this.#jobs.sendOperation(name, id)
    if (await isWanted(this.#services, name)) await this.#jobs.offer({ wave: name, moves })
  }

  /** Returns when every move has come to a durable point and can be taken over. */
  async stop(): Promise<void> {
    await this.#jobs.stopHosting()
    this.#stopping.abort()
    await Promise.allSettled(this.#gone.values())
  }

  /** A claim that was lost and won again may come back before the first host has let go of the wave. */
  async #hostOnce(offer: HostingOffer, signal: AbortSignal): Promise<void> {
    await this.#gone.get(offer.wave)?.catch(() => {})
    const host = this.#host(offer, signal)
    this.#gone.set(offer.wave, host)
    await host.finally(() => this.#gone.delete(offer.wave))
  }

  async #host(offer: HostingOffer, claim: AbortSignal): Promise<void> {
    const handOver = new AbortController()
    const timer = this.#services.clock.timer(handOverAfterMs)
    void timer.elapsed.then(() => handOver.abort())
    const until = AbortSignal.any([claim, this.#stopping.signal, handOver.signal])
    if (until.aborted) return timer.cancel()
    let wave: HostedWave | null = null
    try {
      wave = await HostedWave.load(this.#services, this.#requireKnown(offer))
      this.#hosted.set(offer.wave, wave)
      await wave.begin()
      await this.#jobs.workOperations(offer, await unfinished(this.#services, offer.wave), (id) =>
        (wave as HostedWave).perform(id),
      )
      await Promise.race([aborted(until), wave.ended])
    } catch (thrown) {
      this.#log.error({ wave: offer.wave, err: thrown }, 'The wave cannot be hosted; it is tried again.')
      throw thrown
    } finally {
      timer.cancel()
      await Promise.all([wave?.stop(), this.#jobs.stopOperations(offer.wave)])
      await wave?.close()
      this.#hosted.delete(offer.wave)
    }
  }

  /** Offered by a worker whose estate file has other waves: to host it would be to run a move in two places. */
  #requireKnown(offer: HostingOffer): Wave {
    const wave = wavesOf(this.#services.estate).find(({ name }) => name === offer.wave)
    if (wave && isSame(wave, offer)) return wave
    throw wavesDiffer(offer)
  }
}

/** Offers every wave. Throws `state.waves-differ` where somebody hosts a move by other waves than these. */
export async function offerWaves(services: Services, jobs: JobQueue): Promise<void> {
  const waves = wavesOf(services.estate)
  for (const offer of await jobs.offers()) {
    const isOther = waves.some((wave) => wave.moves.some((move) => offer.moves.includes(move)) && !isSame(wave, offer))
    if (!isOther) continue
    if (offer.isHosted) throw wavesDiffer(offer)
    // Left by workers that have ended; nobody works by it any more.
    await jobs.withdraw(offer.id)
  }
  for (const { name, moves } of waves) {
    await jobs.createOperationQueue(name)
    if (await isWanted(services, name)) await jobs.offer({ wave: name, moves })
  }
}

/** One that has ended is left alone until somebody asks something of it. */
async function isWanted(services: Services, name: string): Promise<boolean> {
  const wave = wavesOf(services.estate).find((candidate) => candidate.name === name)
  if (!wave) return true
  const records = await Promise.all(wave.moves.map((move) => services.moves.get(move)))
  return !records.every(hasEnded) || (await unfinished(services, name)).length > 0
}

/** What was asked and has not ended. */
async function unfinished({ estate, operations }: Services, name: string): Promise<string[]> {
  const wave = wavesOf(estate).find((candidate) => candidate.name === name)
  if (!wave) return []
  const { moves, declared } = wave
  const ofMoves = await Promise.all(moves.map((move) => operations.running({ move, wave: null })))
  const ofWave = declared ? await operations.running({ move: null, wave: name }) : []
  return [...ofMoves.flat(), ...ofWave].map(({ id }) => id)
}

/** Throws `state.waves-differ` where a cutover is in the middle that no wave of this estate holds all moves of. */
export async function requireWavesOfCutovers(
  cutovers: ControlRecords['cutovers'],
  waves: readonly Wave[],
): Promise<void> {
  for (const { moves } of await cutovers.allUnfinished()) {
    const names = moves.map(({ name }) => name)
    if (waves.some((wave) => names.every((name) => wave.moves.includes(name)))) continue
    const message = `A cutover of ${names.join(', ')} is in the middle; by this estate file they do not cut over together.`
    throw new ReplatformError('state.waves-differ', { message })
  }
}

function isSame({ name, moves }: Wave, offer: HostingOffer): boolean {
  return name === offer.wave && moves.toSorted().join() === offer.moves.toSorted().join()
}

function wavesDiffer({ wave, moves }: HostingOffer): ReplatformError {
  const message = `Another estate file cuts ${moves.join(', ')} over as "${wave}"; this one does not.`
  return new ReplatformError('state.waves-differ', { message })
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}
