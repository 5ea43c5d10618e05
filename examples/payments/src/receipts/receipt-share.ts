import { hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, readFile, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { type ManifestLine, manifestFile, type ReceiptSource, receiptFile, receiptText } from './receipt.ts'

/**
 * Receipts on a share. A file appears whole or not at all, and stands in the manifest only when it is on the disk; what
 * a crash leaves in between is written again with the same bytes.
 */
export class ReceiptShare {
  readonly #root: string

  constructor(root: string) {
    this.#root = root
  }

  /** Writes receipts, then their lines of the manifest, and flushes both. Sources ascend by ordinal. */
  async add(sources: readonly ReceiptSource[]): Promise<void> {
    const lines = new Map<string, ManifestLine[]>()
    const written: Promise<void>[] = []
    for (const source of sources) {
      const file = receiptFile(source.payload.transfer)
      const text = receiptText(source)
      written.push(this.#write(file, text))
      const manifest = manifestFile(source)
      lines.set(manifest, [
        ...(lines.get(manifest) ?? []),
        { file, sha256: hash('sha256', text), ordinal: source.ordinal },
      ])
    }
    // Every one of them has ended before a failure is told: whoever tries again writes the same files.
    const outcomes = await Promise.allSettled(written)
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
    for (const [manifest, all] of lines) await this.#append(manifest, all)
  }

  async read(transfer: string): Promise<string | undefined> {
    try {
      return await readFile(join(this.#root, receiptFile(transfer)), 'utf8')
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }

  /** The last that stands in a manifest; 0 when there is none. */
  async lastOrdinal(): Promise<bigint> {
    let last = 0n
    for await (const { ordinal } of readManifests(this.#root)) if (BigInt(ordinal) > last) last = BigInt(ordinal)
    return last
  }

  async ping(): Promise<void> {
    await mkdir(this.#root, { recursive: true })
  }

  async #write(file: string, text: string): Promise<void> {
    const path = join(this.#root, file)
    const unfinished = `${path}.part`
    await using handle = await openInFolder(unfinished)
    await handle.writeFile(text)
    await handle.sync()
    await rename(unfinished, path)
  }

  /** Goes on in a new line after one that a crash has torn. */
  async #append(manifest: string, lines: readonly ManifestLine[]): Promise<void> {
    await using handle = await open(join(this.#root, manifest), 'a+', 0o640)
    const { size } = await handle.stat()
    const last = Buffer.alloc(1)
    if (size > 0) await handle.read(last, 0, 1, size - 1)
    const torn = size > 0 && last.toString() !== '\n'
    await handle.appendFile(`${torn ? '\n' : ''}${lines.map((line) => `${JSON.stringify(line)}\n`).join('')}`)
    await handle.sync()
  }
}

/** Makes the folder only when it is not there: most are. */
async function openInFolder(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'w', 0o640)
  } catch (error) {
    if (!isMissing(error)) throw error
    await mkdir(dirname(path), { recursive: true })
    return await open(path, 'w', 0o640)
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

/** Every whole line of every manifest, the oldest manifest first; a torn line is none. */
export async function* readManifests(root: string): AsyncGenerator<ManifestLine> {
  const names = (await readdir(root)).filter((name) => /^manifest-.*\.jsonl$/.test(name))
  for (const name of names.sort()) {
    for await (const text of createInterface({ input: createReadStream(join(root, name)) })) {
      const line = parse(text)
      if (line) yield line
    }
  }
}

function parse(text: string): ManifestLine | undefined {
  try {
    return JSON.parse(text) as ManifestLine
  } catch {
    return undefined
  }
}
