/**
 * Copies keys as they stand on the source now, whatever happened to them: value and deadline, or that they are gone.
 * Values cross as the source dumps them; where the target is older than those bytes, as the commands that build them.
 */
import { CommandBuffer } from './command-buffer.ts'
import { groupBySize, largeBytes } from './compare.ts'
import type { EpochWriter } from './epoch-writer.ts'
import type { KeyLook } from './key-look.ts'
import type { KeyReader } from './key-reader.ts'
import { copyLarge } from './large-copy.ts'
import { addNative } from './native-commands.ts'

export interface KeyCopierOptions {
  readonly source: KeyReader
  readonly writer: EpochWriter
  /** Newest RDB version that the target restores. */
  readonly targetRdbVersion: number
}

/** A MULTI of so much is read on a source that serves clients. */
const bytesAtOnce = 1024 * 1024
const footerBytes = 10

export class KeyCopier {
  readonly #options: KeyCopierOptions
  readonly #buffer = new CommandBuffer(2 * bytesAtOnce)

  constructor(options: KeyCopierOptions) {
    this.#options = options
  }

  /** Resolves, with their bytes, when they are durable on the target. Idempotent. One call at a time. */
  async copy(db: number, keys: readonly Buffer[]): Promise<number> {
    const { source } = this.#options
    const sizes = await source.sizes(db, keys)
    let bytes = 0
    for (const group of groupBySize(keys, sizes, bytesAtOnce)) bytes += await this.#copyGroup(db, group)
    for (const [index, key] of keys.entries()) {
      if ((sizes[index] as number) <= largeBytes) continue
      const { writer } = this.#options
      bytes += await copyLarge({
        source: await source.serverOf(db, key),
        writer,
        db,
        key,
        hasDeadlines: source.hasDeadlines,
      })
    }
    return bytes
  }

  async #copyGroup(db: number, keys: readonly Buffer[]): Promise<number> {
    const { source, writer } = this.#options
    const { keys: looks } = await source.look(db, keys)
    this.#buffer.clear()
    this.#buffer.add(['SELECT', db])
    for (const [index, key] of keys.entries()) addCopy(this.#buffer, key, looks[index] as KeyLook, this.#options)
    const bytes = this.#buffer.length
    await writer.commit(this.#buffer)
    return bytes
  }
}

export interface CopyOptions {
  readonly targetRdbVersion: number
  /** What becomes of a deadline on the target. */
  readonly deadline?: (deadlineMs: number) => number
}

/** Appends what makes a key what was seen of it. */
export function addCopy(
  buffer: CommandBuffer,
  key: Buffer,
  { payload, deadlineMs }: KeyLook,
  { targetRdbVersion, deadline = (at) => at }: CopyOptions,
): void {
  const at = deadlineMs === null ? null : deadline(deadlineMs)
  if (payload === null) {
    buffer.add(['UNLINK', key])
  } else if (payload.readUInt16LE(payload.length - footerBytes) <= targetRdbVersion) {
    const isAbsolute = at === null ? [] : ['ABSTTL']
    buffer.add(['RESTORE', key, at ?? 0, payload, 'REPLACE', ...isAbsolute])
  } else {
    buffer.add(['UNLINK', key])
    addNative(buffer, key, payload[0] as number, payload.subarray(1, -footerBytes))
    if (at !== null) buffer.add(['PEXPIREAT', key, at])
  }
}
