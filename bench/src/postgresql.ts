import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Benchmark, BenchmarkOptions } from './measure.ts'
import { requirePrograms } from './peer.ts'
import { benchCatchUp } from './postgresql-catch-up.ts'
import { benchFullLoad } from './postgresql-full-load.ts'
import { pgbench, startServers } from './postgresql-servers.ts'

export const postgresql: Benchmark = {
  title: 'full load against pgcopydb clone, catch-up against native replication; --scale is pgbench’s',
  async run(options: BenchmarkOptions) {
    await requirePrograms({ [pgbench]: 'postgresql-15', '/usr/bin/pgcopydb': 'pgcopydb' })
    await using servers = await startServers()
    const { row, size } = await benchFullLoad(servers, options)
    const catchUp = await benchCatchUp(servers, options)
    const { stdout } = await promisify(execFile)('pgcopydb', ['--version'])
    const setting = `PostgreSQL 15 to 15 on the same machine, ${size}; ${stdout.split('\n')[0]}, 4 table and 2 index jobs; ours with 4 workers.`
    return { rows: [row, catchUp], setting }
  },
}
