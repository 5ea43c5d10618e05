/**
 * Full load of mixed keys against the server's own replication (`REPLICAOF`), which is the limit: it reads the same
 * snapshot and needs no commands to store it.
 */
import { type RedisClient, type RedisServer, startRedis } from '@replatform/testkit/redis-server'
import { type BenchmarkOptions, contest, type Measured, type PartedBenchmark, type Row } from './measure.ts'
import { requirePrograms } from './peer.ts'
import { benchDeadlines } from './redis-deadlines.ts'
import { benchFollow, benchLag } from './redis-follow.ts'
import { benchMemory } from './redis-memory.ts'
import { BenchedMover, moverUser } from './redis-mover.ts'
import { startReplica } from './redis-replica.ts'
import { timeShake } from './redis-shake.ts'

const acl = [`${moverUser.name} on >${moverUser.password} ~* &* +@all`]
const settings = { save: '""', 'repl-backlog-size': '256mb', 'client-output-buffer-limit': 'replica 2gb 2gb 0' }

export const redis: PartedBenchmark = {
  title: 'full load, follow, lag, memory and deadlines; --scale is thousands of keys × 20; REDIS_SHAKE=<binary>',
  parts: {
    load: benchLoad,
    follow: async (options) => measured(await benchFollow(options)),
    lag: async (options) => measured(await benchLag(options)),
    memory: benchMemory,
    deadlines: benchDeadlines,
  },
}

function measured(row: Row): Measured {
  return { rows: [row], setting: 'Redis 7.0 to 7.0 on the same machine.' }
}

async function benchLoad({ runs, scale, log }: BenchmarkOptions): Promise<Measured> {
  await requirePrograms({ '/usr/bin/redis-server': 'redis-server', '/usr/bin/redis-benchmark': 'redis-tools' })
  await using source = await startRedis({ acl, settings })
  await using target = await startRedis({ acl, settings })
  const keys = scale * 20_000
  log(`filling the source: ${keys} keys`)
  await using client = await source.connect(source.adminUrl)
  await fill(client, keys)
  const common = {
    work: `full load, ${keys} mixed keys`,
    unit: 's',
    ours: () => timeOurs(source, target, keys, log),
  } as const
  const rows = [
    await contest({ ...common, peerName: 'REPLICAOF', peer: () => timeReplica(source, target, keys) }, runs, log),
  ]
  const shake = process.env.REDIS_SHAKE
  const peer = async () => {
    await target.command('FLUSHALL')
    const seconds = await timeShake(shake as string, source, target)
    await requireKeys(target, keys)
    return seconds
  }
  if (shake) rows.push(await contest({ ...common, peerName: 'RedisShake, sync_reader', peer }, runs, log))
  const [, memory = '?'] = /used_memory_human:(\S+)/.exec(String(await source.command('INFO', 'memory'))) ?? []
  return { rows, setting: `Redis 7.0 to 7.0 on the same machine, ${memory} in memory; ours on 4 connections.` }
}

/** 40 % strings of 100 bytes, 25 % hashes, 15 % lists and 15 % sorted sets of ten, 5 % streams; a fifth with deadlines. */
async function fill(client: RedisClient, keys: number): Promise<void> {
  for (let at = 0; at < keys; at += 5_000) {
    const batch = Array.from({ length: Math.min(5_000, keys - at) }, (_, index) => commandsOf(at + index)).flat()
    await Promise.all(batch.map((command) => client.sendCommand(command)))
  }
}

function commandsOf(i: number): string[][] {
  const [kind, key] = [i % 20, `k:${i}`]
  const ten = Array.from({ length: 10 }, (_, j) => j)
  const commands: string[][] = []
  if (kind < 8) commands.push(['SET', key, `${i}-`.padEnd(100, 'v')])
  else if (kind < 13) commands.push(['HSET', key, ...ten.flatMap((j) => [`f${j}`, `val${i}-${j}`])])
  else if (kind < 16) commands.push(['RPUSH', key, ...ten.map((j) => `item${i}-${j}`)])
  else if (kind < 19) commands.push(['ZADD', key, ...ten.flatMap((j) => [String(j * 1.5), `m${i}-${j}`])])
  else
    for (const j of [0, 1, 2])
      commands.push(['XADD', key, `${1_700_000_000_000 + i}-${j + 1}`, 'a', String(i), 'b', 'x'.repeat(20)])
  if (Math.floor(i / 20) % 5 === 0) commands.push(['PEXPIRE', key, String(3_600_000 + (i % 80_000) * 1000)])
  return commands
}

async function timeOurs(
  source: RedisServer,
  target: RedisServer,
  keys: number,
  log: BenchmarkOptions['log'],
): Promise<number> {
  await target.command('FLUSHALL')
  await using mover = new BenchedMover(source, target)
  const seconds = await mover.loadAndFollow()
  await requireKeys(target, keys)
  log(`the mover took ${mover.rssMiB} MiB at most`)
  return seconds
}

async function timeReplica(source: RedisServer, target: RedisServer, keys: number): Promise<number> {
  await target.command('FLUSHALL')
  const startedAt = performance.now()
  await startReplica(source, target)
  const seconds = (performance.now() - startedAt) / 1_000
  await requireKeys(target, keys)
  await target.command('REPLICAOF', 'NO', 'ONE')
  return seconds
}

/** A load that is fast because it left something out is no load. Ours keeps two keys of its own there. */
async function requireKeys(target: RedisServer, keys: number): Promise<void> {
  const found = Number(await target.command('DBSIZE'))
  if (found !== keys && found !== keys + 2) throw new Error(`The target holds ${found} keys of ${keys}`)
}
