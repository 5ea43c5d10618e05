/** The mover under test, as the product runs it: a process of its own that is told by messages what to do. */
import { readFile, writeFile } from 'node:fs/promises'
import type { CompareReport } from '@replatform/core/difference'
import { TestMover } from '@replatform/testkit/mover-process'
import { pollUntil } from '@replatform/testkit/poll-until'
import type { PostgresqlServer } from '@replatform/testkit/postgresql-server'
import type { BenchmarkOptions } from './measure.ts'

const main = new URL(import.meta.resolve('@replatform/connector-postgresql/test-fixtures/mover-main'))
const forward = { direction: 'forward' } as const

export interface MovedDatabase {
  readonly source: string
  readonly target: string
  readonly workers?: number
}

export class BenchedMover implements AsyncDisposable {
  readonly #mover: TestMover
  #run: Promise<unknown> = Promise.resolve()

  static async start(
    { source, target, workers = 4 }: MovedDatabase,
    { profiles }: Pick<BenchmarkOptions, 'profiles'>,
  ): Promise<BenchedMover> {
    const side = (url: string) => ({ kind: 'postgresql' as const, url })
    const nodeOptions = profiles ? ['--cpu-prof', `--cpu-prof-dir=${profiles}`] : []
    const sides = { source: side(source), target: side(target) }
    return new BenchedMover(await TestMover.start({ main, move: 'bench', ...sides, workers, nodeOptions }))
  }

  private constructor(mover: TestMover) {
    this.#mover = mover
  }

  /** From nothing to a target with rows, indexes, constraints and statistics; it goes on following. */
  async load(): Promise<void> {
    this.#start('planned')
    await Promise.race([
      this.#mover.waitFor((event) => event.event === 'state' && event.state === 'catching-up'),
      this.#run,
    ])
  }

  follow(): void {
    this.#start('catching-up')
  }

  async compare(): Promise<CompareReport> {
    return this.#mover.client.call('compare', { ...forward, scope: 'all', at: 'live' })
  }

  /** Everything that is committed on the source by now. */
  async level(): Promise<void> {
    const barrier = await this.#mover.client.call('barrier', forward)
    const isThere = async () => (await this.#mover.client.call('remaining', { ...forward, barrier })).count === 0
    await Promise.race([pollUntil('the target is level', isThere, { withinMs: 600_000, everyMs: 20 }), this.#run])
  }

  /** Stops following; what it has read and not applied stays on the source. */
  async stop(): Promise<void> {
    await this.#mover.client.call('stop', {})
    await this.#run
  }

  async cleanUp(): Promise<void> {
    await this.stop()
    await this.#mover.client.call('cleanUp', { ...forward, scope: 'everything' })
  }

  /** Peak of its resident memory since the last call or its start, by the kernel's own account. */
  async takePeakMiB(): Promise<number> {
    const folder = `/proc/${this.#mover.pid}`
    const [, kiB] = /^VmHWM:\s+(\d+) kB$/m.exec(await readFile(`${folder}/status`, 'utf8')) ?? []
    // 5 resets the peak (proc(5), clear_refs).
    await writeFile(`${folder}/clear_refs`, '5')
    return Number(kiB) / 1024
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#mover[Symbol.asyncDispose]()
  }

  #start(state: 'planned' | 'catching-up'): void {
    this.#run = this.#mover.client.call('run', { ...forward, state })
    this.#run.catch(() => {})
  }
}

/** Leaves nothing of a mover that has ended on the source. */
export async function forgetMove(source: PostgresqlServer, database: string): Promise<void> {
  await source.query(
    `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name LIKE 'replatform%'`,
    database,
  )
  await source.query('DROP PUBLICATION IF EXISTS replatform_bench_forward', database)
  await source.query('DROP SCHEMA IF EXISTS replatform CASCADE', database)
}
