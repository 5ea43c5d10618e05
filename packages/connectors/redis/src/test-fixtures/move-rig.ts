/** Two servers and a mover in this process, for tests of one part. */
import type { FollowProgress, Mover } from '@replatform/core/connector'
import { loadChunks } from '@replatform/engine/load-chunks'
import { Throttle } from '@replatform/engine/throttle'
import { pollUntil } from '@replatform/testkit/poll-until'
import { type RedisOptions, type RedisServer, startRedis } from '@replatform/testkit/redis-server'
import { type Connection, openConnection } from '../connection.ts'
import { redisRoute } from '../route.ts'

export const moverUser = 'mover on >mover-secret ~* &* +@all'
export const appUser = 'app on >app-secret ~* &* +@all'

export interface MoveRig extends AsyncDisposable {
  readonly source: RedisServer
  readonly target: RedisServer
  readonly urls: { readonly source: string; readonly target: string }
  /** As an application. */
  openApp(side: 'source' | 'target'): Promise<Connection>
  /** As the mover's user: sees and writes everything. */
  openAll(side: 'source' | 'target'): Promise<Connection>
  createMover(options?: { readonly move?: string; readonly service?: string }): Mover
}

export async function startMoveRig(
  options: { readonly source?: RedisOptions; readonly target?: RedisOptions } = {},
): Promise<MoveRig> {
  await using stack = new AsyncDisposableStack()
  const settings = { 'repl-backlog-size': '64mb' }
  const acl = [moverUser, appUser]
  const source = stack.use(
    await startRedis({ acl, ...options.source, settings: { ...settings, ...options.source?.settings } }),
  )
  const target = stack.use(await startRedis({ acl, ...options.target }))
  const urls = { source: source.url('mover', 'mover-secret'), target: target.url('mover', 'mover-secret') }
  const servers = { source, target }
  const all = stack.move()
  return {
    source,
    target,
    urls,
    openApp: (side) => openConnection({ url: servers[side].url('app', 'app-secret'), side }),
    openAll: (side) => openConnection({ url: urls[side], side }),
    createMover: ({ move = 'cache', service } = {}) =>
      redisRoute.open({
        move,
        direction: 'forward',
        source: { kind: 'redis', url: urls.source },
        target: { kind: 'redis', url: urls.target, service },
        tools: {},
        workers: 1,
        log: { info() {}, warn() {}, error() {} },
      }),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}

export async function loadMove(mover: Mover): Promise<void> {
  await mover.prepare({ load: true })
  await mover.groups()
  const signal = new AbortController().signal
  await loadChunks({ mover, workers: 1, throttle: new Throttle(), signal, report: () => {} })
  await mover.finishLoad(() => {})
}

/** Follows until disposed of. */
export class Following implements AsyncDisposable {
  latest: FollowProgress | null = null
  readonly #abort = new AbortController()
  readonly ended: Promise<void>
  #failure: unknown = null

  /** What ended it, or null. */
  get failure(): unknown {
    return this.#failure
  }

  constructor(mover: Mover, throttle: () => Promise<void> = async () => {}) {
    this.ended = mover.follow({
      signal: this.#abort.signal,
      report: (progress) => {
        this.latest = progress
      },
      throttle,
    })
    this.ended.catch((thrown) => {
      this.#failure = thrown
    })
  }

  /** Until everything that the source has written by now is on the target. */
  async catchUp(source: Connection): Promise<void> {
    const end = Number(/master_repl_offset:(\d+)/.exec(String(await source.command('INFO', 'replication')))?.[1])
    await pollUntil('the target has what the source wrote', () => {
      if (this.#failure) return true
      return Number(this.latest?.position.split(':')[1] ?? 0) >= end
    })
    if (this.#failure) throw this.#failure
  }

  async stop(): Promise<void> {
    this.#abort.abort()
    await this.ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort()
    await this.ended.catch(() => {})
  }
}
