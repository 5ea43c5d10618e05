import { open } from 'node:fs/promises'

/** Creates a file that would survive a power cut, once its directory is flushed too. Fails where it exists. */
export async function writeFlushed(file: string, text: string): Promise<void> {
  await using handle = await open(file, 'wx', 0o600)
  await handle.writeFile(text)
  await handle.sync()
}

/** Makes the names in a directory durable. */
export async function flushDirectory(directory: string): Promise<void> {
  await using handle = await open(directory, 'r')
  await handle.sync()
}
