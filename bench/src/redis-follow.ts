/** Following: how fast, against what can be written at all; and how far behind, against a native replica. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { type RedisServer, startRedis } from '@replatform/testkit/redis-server'
import { type BenchmarkOptions, contest, type Row } from './measure.ts'
import { BenchedMover, moverUser } from './redis-mover.ts'
import { startReplica } from './redis-replica.ts'

const run = promisify(execFile)
const acl = [`${moverUser.name} on >${moverUser.password} ~* &* +@all`]
const settings = { save: '""', 'repl-backlog-size': '512mb', 'client-output-buffer-limit': 'replica 4gb 4gb 0' }

/** What redis-benchmark writes while nobody applies, then how fast that is applied. */
export async function benchFollow({ runs, scale, profiles, log }: BenchmarkOptions): Promise<Row> {
  const writes = scale * 20_000
  await using servers = await startPair()
  await using mover = new BenchedMover(servers.source, servers.target, { profiles })
  await mover.loadAndFollow()
  return await contest(
    {
      work: `follow, ${writes} SET of 64 bytes`,
      unit: 'rows/s',
      peerName: 'redis-benchmark -P 16, writing them',
      peer: async () => {
        mover.tell('hold')
        const seconds = await timeWrites(servers.source, writes)
        mover.tell('release')
        // Otherwise the next run of ours would have these to apply as well.
        await mover.reached(await offsetOf(servers.source))
        return writes / seconds
      },
      ours: async () => {
        mover.tell('hold')
        await timeWrites(servers.source, writes)
        const end = await offsetOf(servers.source)
        const startedAt = performance.now()
        mover.tell('release')
        await mover.reached(end)
        return writes / ((performance.now() - startedAt) / 1_000)
      },
    },
    runs,
    log,
  )
}

const perSecond = 50_000
const beatMs = 10
const lagSeconds = 10

interface Lag {
  readonly rate: number
  readonly medianMs: number
  readonly p99Ms: number
}

/**
 * The age at which keys appear on the target while the source is written at a steady rate; beside it that of a native
 * replica, seen in the same way, since what writes and looks shares the processors with both.
 */
export async function benchLag({ runs, profiles, log }: BenchmarkOptions): Promise<Row> {
  const byMover = async ({ source, target }: Pair) => {
    const mover = new BenchedMover(source, target, { profiles })
    await mover.loadAndFollow()
    return mover
  }
  const byReplica = async ({ source, target }: Pair) => {
    await startReplica(source, target)
    return null
  }
  const [ours, theirs]: [Lag[], Lag[]] = [[], []]
  for (let run = 0; run < runs; run++) {
    ours.push(await lagOf(byMover))
    theirs.push(await lagOf(byReplica))
    for (const [name, lag] of Object.entries({ ours: ours.at(-1), REPLICAOF: theirs.at(-1) })) {
      log(`lag of ${name} at ${lag?.rate} writes/s: median ${lag?.medianMs} ms, p99 ${lag?.p99Ms} ms`)
    }
  }
  const [our, their] = [ours, theirs].map((all) => all.toSorted((a, b) => a.p99Ms - b.p99Ms)[all.length >> 1]) as [
    Lag,
    Lag,
  ]
  const work = `lag at ${our.rate} writes/s, p99 (medians ${our.medianMs} and ${their.medianMs} ms)`
  const ratio = Number((our.p99Ms / their.p99Ms).toPrecision(3))
  return { work, unit: 'ms', ours: our.p99Ms, peer: their.p99Ms, peerName: 'REPLICAOF', ratio, runs }
}

async function lagOf(follow: (pair: Pair) => Promise<AsyncDisposable | null>): Promise<Lag> {
  await using servers = await startPair()
  await using _ = await follow(servers)
  using writer = await RawClient.open(servers.source)
  using reader = await RawClient.open(servers.target)
  const ages: number[] = []
  const startedAt = performance.now()
  let written = 0
  let isOver = false
  const probing = (async () => {
    for (let n = 1; !isOver; n++) {
      const at = performance.now()
      writer.send([`SET probe ${n}`])
      while (!isOver && (await reader.ask('GET probe')) !== String(n)) await sleep(1)
      if (!isOver) ages.push(performance.now() - at)
      await sleep(20)
    }
  })()
  while (performance.now() - startedAt < lagSeconds * 1_000) {
    const due = Math.floor(((performance.now() - startedAt) / 1_000) * perSecond)
    writer.send(Array.from({ length: due - written }, (_, i) => `SET k:${(written + i) % 100_000} ${'v'.repeat(64)}`))
    written = due
    await sleep(beatMs)
  }
  isOver = true
  await probing
  const sorted = ages.toSorted((a, b) => a - b)
  const at = (part: number) => Number((sorted[Math.floor(sorted.length * part)] ?? Number.NaN).toPrecision(3))
  return { rate: Math.round(written / lagSeconds), medianMs: at(0.5), p99Ms: at(0.99) }
}

export interface Pair extends AsyncDisposable {
  readonly source: RedisServer
  readonly target: RedisServer
}

export async function startPair(): Promise<Pair> {
  await using stack = new AsyncDisposableStack()
  const source = stack.use(await startRedis({ acl, settings, password: false }))
  const target = stack.use(await startRedis({ acl, settings }))
  const all = stack.move()
  return { source, target, [Symbol.asyncDispose]: () => all.disposeAsync() }
}

export async function timeWrites({ host, port }: RedisServer, writes: number): Promise<number> {
  const address = ['-h', host, '-p', String(port)]
  const what = ['-t', 'set', '-n', String(writes), '-P', '16', '-r', '100000', '-d', '64', '-q']
  const startedAt = performance.now()
  await run('redis-benchmark', [...address, ...what])
  return (performance.now() - startedAt) / 1_000
}

export async function offsetOf(server: RedisServer): Promise<number> {
  return Number(/master_repl_offset:(\d+)/.exec(String(await server.command('INFO', 'replication')))?.[1])
}

/** Inline commands on a bare socket: a client library would cost more than what is measured. */
export class RawClient implements Disposable {
  readonly #socket: Socket
  #answer = ''
  #awaited: ((line: string) => void) | null = null

  static async open(server: RedisServer): Promise<RawClient> {
    const socket = connect(server.port, server.host)
    await once(socket, 'connect')
    const client = new RawClient(socket)
    await client.ask(`AUTH ${moverUser.name} ${moverUser.password}`)
    return client
  }

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay()
    socket.on('data', (data) => this.#take(data.toString('latin1')))
  }

  /** Answers are not looked at. */
  send(commands: readonly string[]): void {
    if (commands.length > 0) this.#socket.write(`${commands.join('\r\n')}\r\n`)
  }

  /** The last line of the answer; nothing else may be on its way. */
  ask(command: string): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<string>()
    this.#awaited = resolve
    this.#socket.write(`${command}\r\n`)
    return promise
  }

  [Symbol.dispose](): void {
    this.#socket.destroy()
  }

  #take(text: string): void {
    if (!this.#awaited) return
    this.#answer += text
    const isWhole = /^(\+.*|\$-1|-.*)\r\n$|^\$\d+\r\n[\s\S]*\r\n$/.test(this.#answer)
    if (!isWhole) return
    const line = this.#answer.trimEnd().split('\r\n').at(-1) ?? ''
    this.#answer = ''
    const resolve = this.#awaited
    this.#awaited = null
    resolve(line)
  }
}
