/** The part of the pause that deadlines take: 100,000 keys lapse within it, 900,000 later. */
import { redisRoute } from '@replatform/connector-redis/route'
import { loadChunks } from '@replatform/engine/load-chunks'
import { Throttle } from '@replatform/engine/throttle'
import { pollUntil } from '@replatform/testkit/poll-until'
import type { RedisServer } from '@replatform/testkit/redis-server'
import { type BenchmarkOptions, contest, type Measured, time } from './measure.ts'
import { offsetOf, type Pair, startPair } from './redis-follow.ts'
import { moverUser } from './redis-mover.ts'

const pauseMs = 60_000
const [near, far] = [100_000, 900_000]

export async function benchDeadlines({ runs, log }: BenchmarkOptions): Promise<Measured> {
  await using pair = await startPair()
  const row = await contest(
    {
      work: `deadlines within the pause: ${near} keys that lapse in it, ${far} later`,
      unit: 's',
      peerName: 'without settling ahead',
      ours: () => timeSettle(pair, { isAhead: true }),
      peer: () => timeSettle(pair, { isAhead: false }),
    },
    runs,
    log,
  )
  return { rows: [row], setting: 'Redis 7.0 to 7.0 on the same machine; everything compared equal behind each pause.' }
}

async function timeSettle({ source, target }: Pair, { isAhead }: { readonly isAhead: boolean }): Promise<number> {
  for (const side of [source, target]) await side.command('FLUSHALL')
  await fill(source)
  const side = (server: RedisServer) =>
    ({ kind: 'redis', url: server.url(moverUser.name, moverUser.password) }) as const
  const mover = redisRoute.open({
    move: 'bench',
    direction: 'forward',
    source: side(source),
    target: side(target),
    tools: {},
    workers: 1,
    log: { info() {}, warn() {}, error() {} },
  })
  await mover.prepare({ load: true })
  await mover.groups()
  const end = new AbortController()
  await loadChunks({ mover, workers: 1, throttle: new Throttle(), signal: end.signal, report: () => {} })
  await mover.finishLoad(() => {})
  let offset = -1
  const following = mover.follow({
    signal: end.signal,
    report: ({ position }) => {
      offset = Number(position.split(':')[1])
    },
    throttle: async () => {},
  })
  await source.command('SET', 'written', 'since')
  const written = await offsetOf(source)
  await pollUntil('it follows', () => offset >= written, { withinMs: 60_000 })
  if (isAhead) await mover.settleAhead({ pauseMs })
  end.abort()
  await following
  await mover.fence('source', { withinMs: 5_000, turn: 1 })
  await mover.raiseEpoch()
  const seconds = await time(() => mover.settle())
  const { equal } = await mover.compare({ scope: 'all', at: 'fenced' })
  if (!equal) throw new Error('The target differs from the source behind the pause')
  await mover.unfence('source', { turn: 1 })
  await mover.unfence('target', { turn: 1 })
  // The next run fences the target again, before any cutover.
  await mover.cleanUp('everything')
  return seconds
}

async function fill(source: RedisServer): Promise<void> {
  for (let at = 0; at < near + far; at += 50_000) {
    const lifeMs = at < near ? `${pauseMs} + i % 20000` : '3600000 + i'
    const script = `for i = ${at}, ${at + 49_999} do redis.call('SET', 'k:' .. i, i, 'PX', ${lifeMs}) end`
    await source.command('EVAL', script, '0')
  }
}
