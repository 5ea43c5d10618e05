import { type ChildProcess, spawn } from 'node:child_process'
import { chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { OsUser } from './os-user.ts'

const watchdog = fileURLToPath(new URL('./watchdog.sh', import.meta.url))

/** A folder that vanishes, with the process that runs in it, when it is disposed of or when we die. */
export class TempFolder implements AsyncDisposable {
  readonly path: string
  readonly #owner: OsUser | undefined
  readonly #watchdog: ChildProcess

  constructor(path: string, owner?: OsUser) {
    this.path = path
    this.#owner = owner
    this.#watchdog = spawn('/bin/sh', [watchdog, path], {
      cwd: '/',
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    })
    // A watchdog that was killed by hand must not take us along.
    this.#watchdog.stdin?.on('error', () => {})
  }

  /** From now on `pid` is what must not outlive us; `undefined` when nothing runs. */
  guard(pid: number | undefined): void {
    this.#watchdog.stdin?.write(`${pid ?? 0}\n`)
  }

  /** Writes a file that only its owner and root can read, and returns its path. */
  async write(name: string, content: string | Buffer): Promise<string> {
    const path = join(this.path, name)
    await writeFile(path, content, { mode: 0o600 })
    if (this.#owner) await chown(path, this.#owner.uid, this.#owner.gid)
    return path
  }

  /** Makes a folder for its owner in this one, and returns its path. */
  async makeFolder(name: string): Promise<string> {
    const path = join(this.path, name)
    await mkdir(path, { mode: 0o700 })
    if (this.#owner) await chown(path, this.#owner.uid, this.#owner.gid)
    return path
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true, maxRetries: 5 })
    this.#watchdog.stdin?.end('released\n')
  }
}

/** Made in the machine's temporary folder unless `within` names another, which the owner must be able to enter. */
export async function createTempFolder(prefix: string, owner?: OsUser, within = tmpdir()): Promise<TempFolder> {
  const folder = new TempFolder(await mkdtemp(join(within, `${prefix}-`)), owner)
  if (owner) await chown(folder.path, owner.uid, owner.gid)
  return folder
}
