/** A move of one database in this process, by the verbs of the contract, from its snapshot to a level target. */
import type { OpenOptions } from '@replatform/core/connector'
import type { CompareReport } from '@replatform/core/difference'
import { pollUntil } from '@replatform/testkit/poll-until'
import type { PostgresqlServer } from '@replatform/testkit/postgresql-server'
import { PostgresqlMover } from '../mover.ts'

export interface MoveSides {
  readonly source: PostgresqlServer
  readonly target: PostgresqlServer
}

export interface MoveOptions extends MoveSides {
  /** Of the database on both sides, and of the move. */
  readonly name: string
  readonly open?: Partial<OpenOptions>
}

export class FollowedMove implements AsyncDisposable {
  readonly mover: PostgresqlMover
  readonly open: OpenOptions
  /** Rejects with what broke the stream; resolves when it was ended. */
  following: Promise<void> = Promise.resolve()
  #end = new AbortController()

  constructor({ name, source, target, open }: MoveOptions) {
    this.open = {
      move: name.replaceAll('_', '-'),
      direction: 'forward',
      source: { kind: 'postgresql', url: source.url(name) },
      target: { kind: 'postgresql', url: target.url(name) },
      tools: {},
      workers: 2,
      log: { info() {}, warn() {}, error() {} },
      ...open,
    }
    this.mover = new PostgresqlMover(this.open)
  }

  /** The full load, with `during` between the snapshot and the first chunk. */
  async load(during: () => Promise<void> = async () => {}): Promise<void> {
    await this.mover.prepare({ load: true })
    await this.mover.groups()
    await during()
    for await (const chunk of this.mover.chunks()) await this.mover.load(chunk, new AbortController().signal)
    await this.mover.finishLoad(() => {})
  }

  follow(throttle: () => Promise<void> = async () => {}): void {
    this.#end = new AbortController()
    this.following = this.mover.follow({ signal: this.#end.signal, report: () => {}, throttle })
    this.following.catch(() => {})
  }

  /** Resolves when all that was committed before the call is on the target; rejects with what broke the stream. */
  async level(): Promise<void> {
    const barrier = await this.mover.barrier()
    const isThere = async () => (await this.mover.remaining(barrier)).count === 0
    const broken = this.following.then(() => Promise.reject(new Error('Following ended.')))
    await Promise.race([pollUntil('the target is level', isThere, { withinMs: 120_000 }), broken])
  }

  compare(): Promise<CompareReport> {
    return this.mover.compare({ scope: 'all', at: 'live' })
  }

  async stop(): Promise<void> {
    this.#end.abort()
    await this.following
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort()
    await this.following.catch(() => {})
    await this.mover.cleanUp('stream').catch(() => {})
    await this.mover[Symbol.asyncDispose]()
  }
}
