/**
 * Goal: whatever dies in the middle of a wave, both stores end open on the same side, and each payment that was
 * acknowledged stands there once. Method: cutover and rollback in turn, under payments; in each, something that takes
 * part is killed at a random instant and started again as an operator would.
 */
import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CliProcess } from '@replatform/cli/test-fixtures/cli-process'
import { moves, type Place, WaveStage, wave } from '@replatform/cli/test-fixtures/wave-stage'
import { pollUntil } from '@replatform/testkit/poll-until'
import { seededRandom } from '@replatform/testkit/seeded-random'
import { killQuietly } from './kill-quietly.ts'
import type { SoakOptions } from './soak.ts'

interface Round {
  readonly verb: 'cutover' | 'rollback'
  readonly victim: string
  readonly outcome: 'committed' | 'aborted'
  readonly pauseMs: number | null
  readonly resumed: boolean
}

export async function soakWaves({ kills, seed, log }: SoakOptions): Promise<object> {
  await using stage = await WaveStage.open()
  const run = new WaveSoak(stage, seed, log)
  await run.start()
  const rounds: Round[] = []
  for (let kill = 1; kill <= kills; kill++) rounds.push(await run.round(kill))
  const place = run.place
  await stage.expectOpen(place)
  const { paid } = stage
  await stage.expectNothingLost(place)
  return figuresOf(rounds, paid)
}

class WaveSoak {
  place: Place = 'old'
  readonly #stage: WaveStage
  readonly #random: () => number
  readonly #log: (line: string) => void
  #worker!: CliProcess
  /** How long an undisturbed one takes: kills fall within. */
  #takesMs = 4_000

  constructor(stage: WaveStage, seed: number, log: (line: string) => void) {
    this.#stage = stage
    this.#random = seededRandom(seed)
    this.#log = log
  }

  async start(): Promise<void> {
    const { rig } = this.#stage
    this.#worker = await rig.worker()
    for (const move of moves) {
      await rig.run('start', move, '--until', 'in-sync')
      await rig.run('compare', move)
    }
    await rig.run('rehearse', wave)
    const startedAt = performance.now()
    await this.#ended(await this.#ask('cutover'))
    this.#takesMs = performance.now() - startedAt
    this.place = 'new'
    await this.#stage.reach('reversing')
    this.#log(`an undisturbed cutover takes ${Math.round(this.#takesMs)} ms`)
  }

  async round(kill: number): Promise<Round> {
    const verb = this.place === 'old' ? 'cutover' : 'rollback'
    const victim = this.#pick(Object.keys(this.#victims))
    const id = await this.#ask(verb)
    await sleep(this.#random() * this.#takesMs * 1.2)
    await this.#victims[victim]?.()
    if (!this.#worker.running) this.#worker = await this.#stage.rig.worker()
    await this.#ended(id)
    const resumed = await this.#resumeWhatWaits()
    const last = (await this.#stage.wave()).lastCutover
    const outcome = last?.id === id && last.outcome === 'committed' ? 'committed' : 'aborted'
    if (outcome === 'committed') this.place = this.place === 'old' ? 'new' : 'old'
    await this.#settled()
    await this.#stage.expectOpen(this.place)
    this.#log(`${kill} ${verb}, ${victim} killed: ${outcome}${resumed ? ', resumed by hand' : ''}`)
    return { verb, victim, outcome, pauseMs: last?.pauseMs ?? null, resumed }
  }

  readonly #victims: Readonly<Record<string, () => Promise<void>>> = {
    'worker': () => this.#worker.kill(),
    'worker and guard': async () => {
      const guards = await childrenOf(this.#worker.pid, 'guard-main')
      await this.#worker.kill()
      for (const pid of guards) killQuietly(pid)
    },
    'mover': async () => {
      const { moves: statuses } = await this.#stage.rig.client.status()
      const pid = statuses[Math.floor(this.#random() * statuses.length)]?.mover?.pid
      if (pid) killQuietly(pid)
    },
    'pooler': () => this.#restart(this.#stage.pgbouncer),
    'gateway': () => this.#restart(this.#stage.gateway),
    'old server': () => this.#restart(this.#stage.server('old')),
    'new server': () => this.#restart(this.#stage.server('new')),
  }

  async #restart(server: { kill(): Promise<void>; restart(): Promise<void> }): Promise<void> {
    await server.kill()
    await sleep(this.#random() * 1_000)
    await server.restart()
  }

  async #ask(verb: 'cutover' | 'rollback'): Promise<string> {
    const request = { actor: 'soak@rig', reason: 'soak', ...(verb === 'cutover' ? { override: true } : {}) }
    return pollUntil(
      `${verb} is taken`,
      async () => {
        return (await this.#stage.rig.client.askWave(verb, wave, request)).id
      },
      { withinMs: 120_000, everyMs: 200 },
    )
  }

  async #ended(id: string): Promise<void> {
    const look = async () => (await this.#stage.rig.client.operation(id)).state !== 'running'
    await pollUntil(`the operation ${id} ends`, look, { withinMs: 300_000, everyMs: 100 })
  }

  /** A server that was away for long may pause a move: an operator resumes it. */
  async #resumeWhatWaits(): Promise<boolean> {
    const { moves: statuses } = await this.#stage.rig.client.status()
    const waiting = statuses.filter(({ paused }) => paused)
    for (const { name } of waiting) await this.#stage.rig.run('resume', name)
    return waiting.length > 0
  }

  async #settled(): Promise<void> {
    const isThere = async () => {
      if (await this.#resumeWhatWaits()) return false
      const { moves: statuses } = await this.#stage.rig.client.status()
      return statuses.every(({ follow, state }) => follow !== null && state !== 'catching-up')
    }
    await pollUntil('both moves follow again', isThere, { withinMs: 180_000, everyMs: 200 })
  }

  #pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.#random() * items.length)] as T
  }
}

function figuresOf(rounds: readonly Round[], paid: number): object {
  const count = (fits: (round: Round) => boolean) => rounds.filter(fits).length
  const victims = [...new Set(rounds.map(({ victim }) => victim))].sort()
  return {
    kills: rounds.length,
    forward: count(({ outcome }) => outcome === 'committed'),
    back: count(({ outcome }) => outcome === 'aborted'),
    resumedByHand: count(({ resumed }) => resumed),
    payments: paid,
    lostOrDoubled: 0,
    ...Object.fromEntries(
      victims.map((victim) => {
        const forward = count((round) => round.victim === victim && round.outcome === 'committed')
        return [victim, `${forward} forward, ${count((round) => round.victim === victim) - forward} back`]
      }),
    ),
  }
}

/** Processes of the tree below `pid` whose command line names `word`. */
async function childrenOf(pid: number, word: string): Promise<number[]> {
  const found: number[] = []
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '')
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
    if (parent !== pid) continue
    const command = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')
    if (command.includes(word)) found.push(Number(name))
  }
  return found
}
