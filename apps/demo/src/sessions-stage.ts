/** The store beside the ledger: a Redis behind HAProxy, the service of sessions under load, and a Valkey as ElastiCache offers it. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { type HaproxyServer, startHaproxy } from '@replatform/testkit/haproxy-server'
import { type RedisOptions, type RedisServer, startRedis } from '@replatform/testkit/redis-server'
import { paymentsMain } from './payments-main.ts'
import { Program, runProgram } from './program.ts'

const route = 'sessions'
/** Short enough that codes and sessions reach their deadlines while the demo goes on. */
const lives = { session: 45, code: 20, answer: 60 }

export interface SessionsVerdict {
  readonly verdict: string
  readonly judged: Readonly<Record<string, number>>
  readonly found: Readonly<Record<string, number>>
}

interface SessionsLoad {
  readonly gateway: string
  readonly rate: number
  readonly seed: number
}

export class SessionsStage implements AsyncDisposable {
  /** For the command line. */
  readonly env: Readonly<Record<string, string>>
  /** Lines of the estate file below `stores`. */
  readonly store: string
  readonly url: string
  readonly #folder: string
  readonly #opened: AsyncDisposableStack
  readonly #target: RedisServer
  #load: Program | null = null

  static async open(folder: string): Promise<SessionsStage> {
    await using opened = new AsyncDisposableStack()
    const [app, mover] = [password(), password()]
    const acl = [`app on >${app} ~* &* +@all`, `mover on >${mover} ~* &* +@all`]
    const source = opened.use(await startRedis({ acl, settings: { 'repl-backlog-size': '64mb' } }))
    // What a person sets beforehand in the parameter group.
    const settings = { 'notify-keyspace-events': 'EA' }
    const target = opened.use(await startManaged({ acl, settings }))
    const haproxy = opened.use(await startHaproxy({ routes: { [route]: { sides: { old: source, new: target } } } }))
    const { host, port } = haproxy.address(route)
    const service = opened.use(
      await Program.start({
        main: paymentsMain('sessions-main'),
        args: Object.entries(lives).flatMap(([what, seconds]) => [`--${what}-seconds`, String(seconds)]),
        env: { SESSIONS_REDIS_URL: `redis://app:${app}@${host}:${port}`, SESSIONS_SECRET: password() },
      }),
    )
    const { port: servicePort } = await service.waitFor((line) => 'port' in line)
    const env = { SESSIONS_SOURCE: source.url('mover', mover), SESSIONS_TARGET: target.url('mover', mover) }
    const url = `http://127.0.0.1:${servicePort}`
    return new SessionsStage({ folder, env, url, store: storeOf(haproxy), target, opened: opened.move() })
  }

  private constructor(stage: Opened) {
    this.env = stage.env
    this.store = stage.store
    this.url = stage.url
    this.#folder = stage.folder
    this.#target = stage.target
    this.#opened = stage.opened
  }

  /** Customers come to the gateway until they are stopped. */
  async startLoad({ gateway, rate, seed }: SessionsLoad): Promise<void> {
    const figures = { rate, seed, 'journals': this.#folder, 'answer-seconds': lives.answer }
    const args = Object.entries(figures).flatMap(([name, value]) => [`--${name}`, String(value)])
    this.#load = this.#opened.use(
      await Program.start({
        main: paymentsMain('load-main'),
        args: [...args, '--until-signal', '--settle'],
        env: { LOAD_SESSIONS_URL: gateway },
      }),
    )
    await this.#load.waitFor((line) => line.type === 'progress')
  }

  async stopLoad(): Promise<void> {
    await this.#load?.stop()
  }

  /** Holds the new side against what was asked for: each code, session and answer, and its deadline. */
  judge(): Promise<SessionsVerdict> {
    return runProgram({
      main: paymentsMain('judge-stores-main'),
      args: ['--sessions-journal', join(this.#folder, 'sessions.journal')],
      env: { JUDGE_REDIS_URL: this.#target.adminUrl },
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync()
  }
}

interface Opened {
  readonly folder: string
  readonly env: Readonly<Record<string, string>>
  readonly store: string
  readonly url: string
  readonly target: RedisServer
  readonly opened: AsyncDisposableStack
}

/** Valkey comes from Debian's backports, which may be out of reach; a Redis 7 refuses the same things. */
function startManaged(options: RedisOptions): Promise<RedisServer> {
  return startRedis({ ...options, engine: 'valkey', flavour: 'elasticache' }).catch((thrown: unknown) => {
    console.error(`   Redis 7 instead of Valkey 8: ${thrown instanceof Error ? thrown.message : thrown}`)
    return startRedis({ ...options, engine: 'redis', flavour: 'elasticache' })
  })
}

/** Clients reach the new side through HAProxy only, which is what fences a managed store. */
function storeOf({ socketFile, stateFile }: HaproxyServer): string {
  return `  sessions:
    source: { kind: redis, url: env:SESSIONS_SOURCE }
    target: { kind: redis, service: elasticache, url: env:SESSIONS_TARGET }
    switch:
      haproxy: { socket: ${socketFile}, backend: ${route}, old: [old], new: [new], stateFile: ${stateFile} }
`
}

function password(): string {
  return randomBytes(18).toString('base64url')
}
