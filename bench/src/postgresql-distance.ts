/** Load and follow while one of the sides is far away, against the same through the same proxy without a delay. */
import type { PostgresqlServer } from '@replatform/testkit/postgresql-server'
import { startTcpProxy, type TcpProxy } from '@replatform/testkit/tcp-proxy'
import { type BenchmarkOptions, contest, type Measured, type Row, time } from './measure.ts'
import { BenchedMover, forgetMove } from './postgresql-mover.ts'
import {
  emptyDatabase,
  fillPgbench,
  rowsOfTransaction,
  type Servers,
  settle,
  sizeOf,
  startServers,
  writeTransactions,
} from './postgresql-servers.ts'
import { fillWideTable } from './wide-table.ts'

const roundTripMs = 30
const loaded = 'bench'
const followed = 'follow'
const accountsScale = 10
const ends = ['source', 'target'] as const
type End = (typeof ends)[number]

interface Line extends Servers {
  readonly proxies: Readonly<Record<End, TcpProxy>>
}

export async function benchDistance(options: BenchmarkOptions): Promise<Measured> {
  const { scale, log } = options
  await using servers = await startServers()
  await using source = await startTcpProxy(servers.source)
  await using target = await startTcpProxy(servers.target)
  const line: Line = { ...servers, proxies: { source, target } }
  log(`filling the source: pgbench scale ${scale} and a wide table`)
  await fillPgbench(servers.source, loaded, scale)
  await fillWideTable(servers.source, loaded, scale)
  await settle(servers.source, loaded)
  const rows: Row[] = []
  for (const far of ends) rows.push(await loadFrom(line, far, options))
  await fillPgbench(servers.source, followed, accountsScale)
  await servers.target.createDatabase(followed)
  await using mover = await BenchedMover.start(addresses(line, followed), options)
  await mover.load()
  await mover.stop()
  for (const far of ends) rows.push(await follow(line, far, mover, options))
  const setting = `PostgreSQL 15 to 15 on the same machine, ${await sizeOf(servers.source, loaded)} loaded by 4 workers; the tool reaches both servers through a proxy, of which one delays each direction by ${roundTripMs / 2} ms.`
  return { rows, setting }
}

async function loadFrom(line: Line, far: End, options: BenchmarkOptions): Promise<Row> {
  const { source, target } = line
  const load = async (delayMs: number) => {
    await emptyDatabase(target, loaded)
    line.proxies[far].delay(delayMs)
    const startedAt = performance.now()
    await using mover = await BenchedMover.start(addresses(line, loaded), options)
    await mover.load()
    const seconds = (performance.now() - startedAt) / 1_000
    await line.proxies[far].restore()
    await mover.stop()
    await forgetMove(source, loaded)
    return (await mebibytes(source, loaded)) / seconds
  }
  return contest(
    {
      work: `full load with indexes, ${roundTripMs} ms to the ${far}`,
      unit: 'MiB/s',
      peerName: 'the same without',
      ours: () => load(roundTripMs / 2),
      peer: () => load(0),
    },
    options.runs,
    options.log,
  )
}

async function follow(line: Line, far: End, mover: BenchedMover, options: BenchmarkOptions): Promise<Row> {
  const { transactions, runs, log } = options
  const catchUp = async (delayMs: number) => {
    log(`writing ${transactions} transactions`)
    await writeTransactions(line.source, followed, transactions)
    line.proxies[far].delay(delayMs)
    const seconds = await time(async () => {
      mover.follow()
      await mover.level()
    })
    await line.proxies[far].restore()
    await mover.stop()
    return (transactions * rowsOfTransaction) / seconds
  }
  return contest(
    {
      work: `catch-up, ${transactions} pgbench transactions, ${roundTripMs} ms to the ${far}`,
      unit: 'rows/s',
      peerName: 'the same without',
      ours: () => catchUp(roundTripMs / 2),
      peer: () => catchUp(0),
    },
    runs,
    log,
  )
}

function addresses({ source, target, proxies }: Line, database: string) {
  return { source: proxies.source.url(source.url(database)), target: proxies.target.url(target.url(database)) }
}

async function mebibytes(server: PostgresqlServer, database: string): Promise<number> {
  const [size] = await server.query<{ bytes: string }>(`SELECT pg_database_size('${database}') AS bytes`)
  return Number(size?.bytes) / 2 ** 20
}
