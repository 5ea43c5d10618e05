/** Programs of Debian packages: found where they are, installed once where they are not. */
import { access, constants, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cached, exists } from './cache.ts'
import { runProgram } from './run-program.ts'

const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'
const aptInstall = fileURLToPath(new URL('../../../scripts/apt-install', import.meta.url))

/** Path of `program`; brings `packageName` to this machine when it is not there, without starting any service. */
export async function debianProgram(program: string, packageName: string): Promise<string> {
  const found = await findProgram(program)
  if (found) return found
  await installPackages([packageName])
  const installed = await findProgram(program)
  if (!installed) throw new Error(`The package ${packageName} did not bring ${program}`)
  return installed
}

/** Path of a program that this machine has. */
export async function findProgram(program: string): Promise<string | undefined> {
  // Debian puts servers where only root's PATH leads.
  for (const folder of ['/usr/sbin', '/sbin', ...(process.env.PATH ?? '').split(':')]) {
    const path = join(folder, program)
    const runs = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (runs) return path
  }
  return undefined
}

/** Brings `packageName` to this machine when the file that it is wanted for is not there. */
export async function debianFile(path: string, packageName: string): Promise<void> {
  if (!(await exists(path))) await installPackages([packageName])
}

export async function installPackages(packages: readonly string[]): Promise<void> {
  const names = packages.join(' ')
  console.error(`replatform: installing ${names}`)
  try {
    if (process.getuid?.() === 0) await runProgram(aptInstall, packages)
    else await runProgram('sudo', ['-n', aptInstall, ...packages])
  } catch (error) {
    throw new Error(`${names} is missing on this machine; install it by hand: apt-get install ${names}`, {
      cause: error,
    })
  }
}

/**
 * Folder with the files of packages of another suite (`bookworm-backports`, `trixie`), unpacked and not installed:
 * neither the machine's sources nor its packages change, and no right of root is needed. What they depend on must be
 * there already or among them. `finish` may change the files, which will lie in `final`.
 */
export async function unpackSuite(
  suite: string,
  packages: readonly [string, ...string[]],
  finish: (fresh: string, final: string) => Promise<void> = async () => {},
): Promise<string> {
  const name = `${packages[0]}-${suite}`
  return cached(name, async (fresh) => {
    const [lists, downloads, source] = [`${fresh}.lists`, `${fresh}.downloads`, `${fresh}.list`]
    for (const folder of [fresh, join(lists, 'partial'), downloads]) await mkdir(folder, { recursive: true })
    await writeFile(source, `deb [signed-by=${keyring}] http://deb.debian.org/debian ${suite} main\n`)
    const apt = (...args: string[]): Promise<string> =>
      runProgram('apt-get', [...aptOptions({ source, lists }), ...args], { cwd: downloads })
    await apt('update')
    await apt('download', ...packages)
    for (const file of await readdir(downloads)) {
      await runProgram('dpkg-deb', ['--extract', join(downloads, file), fresh])
    }
    await finish(fresh, join(fresh, '..', '..', name))
  })
}

/** Lets apt see this one source and write nowhere but here. */
function aptOptions({ source, lists }: { readonly source: string; readonly lists: string }): string[] {
  const settings = {
    'Dir::Etc::SourceList': source,
    'Dir::Etc::SourceParts': '/dev/null',
    'Dir::State::Lists': lists,
    'Dir::Cache::pkgcache': '',
    'Dir::Cache::srcpkgcache': '',
    // The folder is ours alone; apt would otherwise warn that its own user cannot enter it.
    'APT::Sandbox::User': '',
  }
  return ['-qq', ...Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])]
}
