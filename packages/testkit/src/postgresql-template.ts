import { chown, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cached } from './cache.ts'
import type { OsUser } from './os-user.ts'
import type { PostgresqlBinaries } from './postgresql-binaries.ts'
import { runProgram } from './run-program.ts'

/** Password of `postgres` in every server of the rig that does not ask for another: they listen on loopback only. */
export const rigPassword = 'rig-superuser'

/** A data directory as initdb leaves it, made once a version: copying it takes a tenth of the time. */
export async function postgresqlTemplate(binaries: PostgresqlBinaries, user: OsUser | undefined): Promise<string> {
  return cached(`template-${binaries.version}`, async (fresh) => {
    await mkdir(fresh, { mode: 0o700 })
    if (user) await chown(fresh, user.uid, user.gid)
    // Beside the fresh folder and not in it: initdb wants it empty.
    const passwordFile = `${fresh}.password`
    await writeFile(passwordFile, rigPassword, { mode: 0o600 })
    if (user) {
      await chown(passwordFile, user.uid, user.gid)
      await chown(join(fresh, '..'), user.uid, user.gid)
    }
    await runProgram(
      join(binaries.folder, 'bin', 'initdb'),
      [
        `--pgdata=${fresh}`,
        '--username=postgres',
        '--auth=scram-sha-256',
        `--pwfile=${passwordFile}`,
        '--encoding=UTF8',
        '--locale=C.UTF-8',
        '--no-sync',
      ],
      { user, env: { PATH: '/usr/bin:/bin', LC_ALL: 'C.UTF-8' } },
    )
    await rm(passwordFile)
  })
}

/** Copies the template into `dataDir`, which does not exist yet. */
export async function copyTemplate(template: string, dataDir: string): Promise<void> {
  // cp keeps the owner and shares blocks where the file system can; fs.cp does neither.
  await runProgram('cp', ['-a', '--reflink=auto', template, dataDir])
}
