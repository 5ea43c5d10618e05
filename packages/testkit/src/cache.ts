import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { lstat, mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * A folder that is made once on this machine and then kept under the temporary directory. A second process that wants
 * it meanwhile waits and takes what the first one made; a failure leaves nothing behind.
 */
export async function cached(name: string, make: (fresh: string) => Promise<void>): Promise<string> {
  const cache = await cacheFolder()
  const folder = join(cache, name)
  if (await exists(folder)) return folder
  await using _ = await lock(join(cache, `${name}.lock`))
  if (await exists(folder)) return folder
  const parent = await mkdtemp(join(cache, 'making-'))
  try {
    const fresh = join(parent, name)
    await make(fresh)
    await rename(fresh, folder)
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

/** Holds the file's lock until it is disposed of. `cat` ends with its standard input, so it ends when we die as well. */
async function lock(path: string): Promise<AsyncDisposable> {
  const holder = spawn('flock', [path, 'sh', '-c', 'echo held && exec cat'], { stdio: ['pipe', 'pipe', 'inherit'] })
  await Promise.race([once(holder.stdout, 'data'), failedExit()])
  return {
    async [Symbol.asyncDispose]() {
      holder.stdin.end()
      if (holder.exitCode === null) await once(holder, 'exit')
    },
  }

  async function failedExit(): Promise<never> {
    const [code] = await once(holder, 'exit')
    throw new Error(`flock ended with ${code}: ${path} could not be locked`)
  }
}

export async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}
