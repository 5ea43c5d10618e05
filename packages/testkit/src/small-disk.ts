import { open, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { unprivilegedUser } from './os-user.ts'
import { runProgram } from './run-program.ts'
import { createTempFolder, type TempFolder } from './temp-folder.ts'

/** Why this machine cannot have one; `undefined` where it can. For `test.skipIf`, with the reason in its name. */
export const smallDiskRefusal = process.getuid?.() === 0 ? undefined : 'a small disk needs root, which may mount'

/** A file system of that size, in memory, that the servers of the rig can be started in and that can be filled up. */
export async function createSmallDisk(bytes: number): Promise<SmallDisk> {
  if (smallDiskRefusal) throw new Error(smallDiskRefusal)
  const user = await unprivilegedUser()
  const folder = await createTempFolder('small-disk')
  const owner = user ? `,uid=${user.uid},gid=${user.gid}` : ''
  try {
    await runProgram('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=0755${owner}`, 'rig-small-disk', folder.path])
  } catch (error) {
    await folder[Symbol.asyncDispose]()
    throw error
  }
  return new SmallDisk(folder)
}

export class SmallDisk implements AsyncDisposable {
  readonly path: string
  readonly #folder: TempFolder
  readonly #ballast: string

  constructor(folder: TempFolder) {
    this.path = folder.path
    this.#folder = folder
    this.#ballast = join(folder.path, 'ballast')
  }

  /** Takes all the space that is left: whoever writes next finds the disk full. */
  async fill(): Promise<void> {
    await using file = await open(this.#ballast, 'a')
    const block = Buffer.alloc(64 * 1024)
    for (let bytes = block.length; bytes >= 1; ) {
      try {
        const { bytesWritten } = await file.write(block, 0, bytes)
        if (bytesWritten < bytes) bytes = Math.floor(bytes / 2)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
        bytes = Math.floor(bytes / 2)
      }
    }
  }

  /** Gives back what `fill` took. */
  async free(): Promise<void> {
    await rm(this.#ballast, { force: true })
  }

  async bytesFree(): Promise<number> {
    const { bavail, bsize } = await statfs(this.path)
    return bavail * bsize
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Lazily: a server that is still in it must not keep the mount alive for ever.
    await runProgram('umount', ['--lazy', this.path])
    await this.#folder[Symbol.asyncDispose]()
  }
}
