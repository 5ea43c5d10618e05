/** Following, against what can be written at all; and a mover's memory, with one value of a gigabyte. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { type RedisServer, startRedis } from '@replatform/testkit/redis-server'
import { type BenchmarkOptions, contest, type Row } from './measure.ts'
import { BenchedMover, moverUser } from './redis-mover.ts'

const run = promisify(execFile)
const acl = [`${moverUser.name} on >${moverUser.password} ~* &* +@all`]
const settings = { save: '""', 'repl-backlog-size': '512mb', 'client-output-buffer-limit': 'replica 4gb 4gb 0' }

/** What redis-benchmark writes while nobody applies, then how fast that is applied. */
export async function benchFollow({ runs, scale, log }: BenchmarkOptions): Promise<Row> {
  const writes = scale * 20_000
  await using servers = await startPair()
  await using mover = new BenchedMover(servers.source, servers.target)
  await mover.loadAndFollow()
  return await contest(
    {
      work: `follow, ${writes} SET of 64 bytes`,
      unit: 'rows/s',
      peerName: 'redis-benchmark -P 16, writing them',
      peer: async () => {
        mover.tell('hold')
        return writes / (await timeWrites(servers.source, writes))
      },
      ours: async () => {
        // Ours comes first in each run: what it applies is written for it.
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
const lagGoalMs = 100

/** The age at which keys appear on the target while the source is written at a steady rate. */
export async function benchLag({ log }: BenchmarkOptions): Promise<Row> {
  await using servers = await startPair()
  await using mover = new BenchedMover(servers.source, servers.target)
  await mover.loadAndFollow()
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
  const at = (part: number) => Math.round(sorted[Math.floor(sorted.length * part)] ?? Number.NaN)
  const rate = Math.round(written / lagSeconds)
  log(`lag at ${rate} writes/s: median ${at(0.5)} ms, p99 ${at(0.99)} ms, of ${sorted.length} looks`)
  const work = `lag at ${rate} writes/s, median (p99 ${at(0.99)} ms)`
  return { work, unit: 'ms', ours: at(0.5), peer: lagGoalMs, peerName: 'goal', ratio: at(0.5) / lagGoalMs, runs: 1 }
}

const memoryGoalMiB = 300

/** One hash of a gigabyte in a million fields is loaded, and written on. */
export async function benchMemory({ log }: BenchmarkOptions): Promise<Row> {
  await using servers = await startPair()
  const { source, target } = servers
  log('filling one hash of 1 GB')
  for (let at = 0; at < 1_000_000; at += 50_000) {
    const script = `for i = ${at}, ${at + 49_999} do redis.call('HSET', 'huge', i, string.rep('v', 1000) .. i) end`
    await source.command('EVAL', script, '0')
  }
  await using mover = new BenchedMover(source, target)
  const seconds = await mover.loadAndFollow()
  await timeWrites(source, 200_000)
  await mover.reached(await offsetOf(source))
  const fields = Number(await target.command('HLEN', 'huge'))
  if (fields !== 1_000_000) throw new Error(`The target holds ${fields} fields of 1000000`)
  log(`one hash of 1 GB was loaded in ${seconds.toFixed(1)} s`)
  const ours = mover.rssMiB
  const work = 'memory of a mover, one hash of 1 GB'
  return {
    work,
    unit: 'MiB',
    ours,
    peer: memoryGoalMiB,
    peerName: 'goal',
    ratio: Number((ours / memoryGoalMiB).toPrecision(3)),
    runs: 1,
  }
}

interface Pair extends AsyncDisposable {
  readonly source: RedisServer
  readonly target: RedisServer
}

async function startPair(): Promise<Pair> {
  await using stack = new AsyncDisposableStack()
  const source = stack.use(await startRedis({ acl, settings, password: false }))
  const target = stack.use(await startRedis({ acl, settings }))
  const all = stack.move()
  return { source, target, [Symbol.asyncDispose]: () => all.disposeAsync() }
}

async function timeWrites({ host, port }: RedisServer, writes: number): Promise<number> {
  const address = ['-h', host, '-p', String(port)]
  const what = ['-t', 'set', '-n', String(writes), '-P', '16', '-r', '100000', '-d', '64', '-q']
  const startedAt = performance.now()
  await run('redis-benchmark', [...address, ...what])
  return (performance.now() - startedAt) / 1_000
}

async function offsetOf(server: RedisServer): Promise<number> {
  return Number(/master_repl_offset:(\d+)/.exec(String(await server.command('INFO', 'replication')))?.[1])
}

/** Inline commands on a bare socket: a client library would cost more than what is measured. */
class RawClient implements Disposable {
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
