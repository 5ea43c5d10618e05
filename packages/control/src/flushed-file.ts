import { link, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * The few things that durable records need of a file system, so that a simulation can take it in its hands. What was
 * written survives a power cut once the file was flushed; its name, once the directory was.
 */
export interface FlushedFiles {
  /** Creates the directory, and makes its name durable. */
  makeDirectory(directory: string): Promise<void>
  /** Creates a file that would survive a power cut, once its directory is flushed too. Fails where it exists. */
  write(file: string, text: string): Promise<void>
  /** Gives a file a second name; fails with `EEXIST` where the name is taken. */
  link(file: string, name: string): Promise<void>
  /** Replaces what the name stood for. */
  rename(file: string, name: string): Promise<void>
  /** Tolerates absence. */
  remove(file: string): Promise<void>
  /** Undefined where there is none. */
  read(file: string): Promise<string | undefined>
  list(directory: string): Promise<string[]>
  /** Makes the names in a directory durable. */
  flushDirectory(directory: string): Promise<void>
}

export const flushedFiles: FlushedFiles = {
  makeDirectory: async (directory) => {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    await flushedFiles.flushDirectory(join(directory, '..'))
  },
  write: async (file, text) => {
    await using handle = await open(file, 'wx', 0o600)
    await handle.writeFile(text)
    await handle.sync()
  },
  link,
  rename,
  remove: (file) => rm(file, { force: true }),
  read: async (file) => {
    try {
      return await readFile(file, 'utf8')
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw thrown
    }
  },
  list: readdir,
  flushDirectory: async (directory) => {
    await using handle = await open(directory, 'r')
    await handle.sync()
  },
}
