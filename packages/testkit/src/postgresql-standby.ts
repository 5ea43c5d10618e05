import { appendFile, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { unprivilegedUser } from './os-user.ts'
import { postgresqlBinaries } from './postgresql-binaries.ts'
import { PostgresqlServer } from './postgresql-server.ts'
import { runProgram } from './run-program.ts'
import { createTempFolder } from './temp-folder.ts'

/**
 * A hot standby that streams from `primary`, which is stopped for the moment of the copy and keeps its port. Slots of
 * the primary are not copied.
 */
export async function startStandby(primary: PostgresqlServer): Promise<PostgresqlServer> {
  const user = await unprivilegedUser()
  const binaries = await postgresqlBinaries(primary.major, user)
  const folder = await createTempFolder(`postgresql-${primary.major}-standby`, user)
  const program = join(binaries.folder, 'bin', 'postgres')
  const standby = new PostgresqlServer({ program, folder, user, tls: false }, primary.major)
  try {
    await primary.stop()
    await runProgram('cp', ['-a', '--reflink=auto', primary.dataDir, standby.dataDir])
    await primary.restart()
    const { host, port, superuser, password } = primary
    const conninfo = `host=${host} port=${port} user=${superuser} password=${password}`
    await appendFile(
      join(standby.dataDir, 'postgresql.conf'),
      `\nprimary_conninfo = '${conninfo}'\nhot_standby_feedback = on\n`,
    )
    await writeFile(join(standby.dataDir, 'standby.signal'), '')
    const slots = join(standby.dataDir, 'pg_replslot')
    for (const name of await readdir(slots)) await rm(join(slots, name), { recursive: true })
    await standby.startOnFreePort()
    return standby
  } catch (error) {
    await standby[Symbol.asyncDispose]()
    throw error
  }
}
