import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { RedisServer } from '@replatform/testkit/redis-server'
import { moverUser } from './redis-mover.ts'

const run = promisify(execFile)

/** Seconds that RedisShake takes for a full load as a replica, the quickest of its readers. It ends by itself. */
export async function timeShake(program: string, source: RedisServer, target: RedisServer): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'replatform-shake-'))
  try {
    const file = join(folder, 'shake.toml')
    await writeFile(file, configuration(folder, source, target), { mode: 0o600 })
    const startedAt = performance.now()
    await run(program, [file], { cwd: folder, maxBuffer: 64 << 20 })
    return (performance.now() - startedAt) / 1_000
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function configuration(folder: string, source: RedisServer, target: RedisServer): string {
  const side = ({ host, port }: RedisServer) =>
    `cluster = false\naddress = "${host}:${port}"\nusername = "${moverUser.name}"\npassword = "${moverUser.password}"\ntls = false`
  return `[sync_reader]
${side(source)}
sync_rdb = true
sync_aof = false
[redis_writer]
${side(target)}
[advanced]
dir = "${folder}"
log_file = "shake.log"
log_level = "warn"
status_port = 0
rdb_restore_command_behavior = "rewrite"
`
}
