/** The most memory that a mover ever took, with values and commands that are far larger than it may be. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import type { RedisServer } from '@replatform/testkit/redis-server'
import { type BenchmarkOptions, goal, type Measured, type Row } from './measure.ts'
import { offsetOf, type Pair, startPair, timeWrites } from './redis-follow.ts'
import { BenchedMover, moverUser } from './redis-mover.ts'

const goalMiB = 300
const fields = 1_000_000

export async function benchMemory({ log }: BenchmarkOptions): Promise<Measured> {
  const rows: Row[] = []
  const measure = async (work: string, run: (pair: Pair) => Promise<BenchedMover>) => {
    await using pair = await startPair()
    await using mover = await run(pair)
    log(`${work}: ${mover.rssMiB} MiB`)
    rows.push(goal({ work: `memory of a mover, ${work}`, unit: 'MiB', ours: mover.rssMiB, goal: goalMiB }))
  }
  await measure('one hash of 1 GB, loaded and written on', async (pair) => {
    await fillHash(pair.source)
    return moved(pair)
  })
  await measure('one HSET of 1 GB, followed', async (pair) => {
    const mover = await moved(pair)
    await sendHash(pair.source)
    await mover.reached(await offsetOf(pair.source))
    await requireSame(pair, 'HLEN', 'huge', fields)
    return mover
  })
  await measure('one SET of 400 MB, followed', async (pair) => {
    const mover = await moved(pair)
    await pair.source.command('EVAL', "redis.call('SET', 'huge', string.rep('0123456789', 41943040))", '0')
    await mover.reached(await offsetOf(pair.source))
    await requireSame(pair, 'STRLEN', 'huge', 419_430_400)
    return mover
  })
  for (const megabytes of [80, 400]) {
    await measure(`a stream of ${megabytes} MB, loaded and written on`, async (pair) => {
      await fillStream(pair.source, megabytes)
      const mover = await moved(pair)
      await requireSame(pair, 'XLEN', 'stream', megabytes * 16)
      return mover
    })
  }
  return { rows, setting: 'Redis 7.0 to 7.0 on the same machine; the most that the process ever held (maxrss).' }
}

async function moved({ source, target }: Pair): Promise<BenchedMover> {
  const mover = new BenchedMover(source, target)
  await mover.loadAndFollow()
  await timeWrites(source, 200_000)
  await mover.reached(await offsetOf(source))
  return mover
}

async function requireSame({ source, target }: Pair, verb: string, key: string, expected: number): Promise<void> {
  const [ours, theirs] = await Promise.all([target, source].map(async (side) => Number(await side.command(verb, key))))
  if (ours !== expected || theirs !== expected) throw new Error(`${verb} ${key} gives ${ours} of ${theirs}`)
}

async function fillHash(source: RedisServer): Promise<void> {
  for (let at = 0; at < fields; at += 50_000) {
    const script = `for i = ${at}, ${at + 49_999} do redis.call('HSET', 'huge', i, string.rep('v', 1000) .. i) end`
    await source.command('EVAL', script, '0')
  }
}

/** One command, written while it is made. */
async function sendHash({ host, port }: RedisServer): Promise<void> {
  const socket = connect(port, host)
  await once(socket, 'connect')
  socket.write(`AUTH ${moverUser.name} ${moverUser.password}\r\n`)
  await once(socket, 'data')
  const value = 'v'.repeat(1_000)
  socket.write(`*${2 + 2 * fields}\r\n$4\r\nHSET\r\n$4\r\nhuge\r\n`)
  for (let at = 0; at < fields; at += 1_000) {
    const part = Array.from({ length: 1_000 }, (_, i) => `$7\r\n${1_000_000 + at + i}\r\n$1000\r\n${value}\r\n`)
    if (!socket.write(part.join(''))) await once(socket, 'drain')
  }
  const [reply] = await once(socket, 'data')
  socket.destroy()
  if (String(reply) !== `:${fields}\r\n`) throw new Error(`HSET was answered ${String(reply).slice(0, 80)}`)
}

async function fillStream(source: RedisServer, megabytes: number): Promise<void> {
  await using client = await source.connect(source.adminUrl)
  for (let at = 0; at < megabytes * 16; at += 64) {
    const entries = Array.from({ length: 64 }, () => [
      'XADD',
      'stream',
      '*',
      'v',
      randomBytes(32 << 10).toString('hex'),
    ])
    await Promise.all(entries.map((entry) => client.sendCommand(entry)))
  }
}
