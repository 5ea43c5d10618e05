import { open, realpath, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/**
 * Replaces a file's content at once: whoever reads it, even after a power cut, finds the old text or the new one.
 * Owner and mode stay, and a link goes on pointing where it did. Durable when it returns.
 */
export async function replaceFile(path: string, content: string): Promise<void> {
  const target = await realpath(path)
  const { mode, uid, gid } = await stat(target)
  const fresh = join(dirname(target), `.${basename(target)}.replatform-${process.pid}`)
  try {
    {
      await using file = await open(fresh, 'w', 0o600)
      await file.writeFile(content)
      // The owner first: a change of owner takes away bits of the mode.
      await file.chown(uid, gid)
      await file.chmod(mode & 0o7777)
      await file.sync()
    }
    await rename(fresh, target)
  } catch (error) {
    await rm(fresh, { force: true })
    throw error
  }
  await using folder = await open(dirname(target), 'r')
  await folder.sync()
}
