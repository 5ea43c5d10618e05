/**
 * Copies keys as they stand on the source now, whatever happened to them: value and deadline, or that they are gone.
 * Values cross as the source dumps them; where the target is older than those bytes, as the commands that build them.
 */
import type { BatchWriter } from './batch-writer.ts'
import type { ByteBudget } from './byte-budget.ts'
import type { CommandBuffer } from './command-buffer.ts'
import { groupBySize, largeBytes } from './compare.ts'
import type { KeyLook } from './key-look.ts'
import type { KeyReader } from './key-reader.ts'
import { copyLarge } from './large-copy.ts'
import { addNative } from './native-commands.ts'

/** Where copies go to. */
export interface CopyTarget {
  /** One for each server of the target. */
  readonly writers: readonly BatchWriter[]
  /** Which of them a key belongs to. */
  readonly writerOf: (key: Buffer) => number
  /** Newest RDB version that all of them restore. */
  readonly targetRdbVersion: number
}

export interface KeyCopierOptions extends CopyTarget, Pick<CopyOptions, 'deadline'> {
  readonly source: KeyReader
  /** Shared by copiers that work side by side, so that not each of them holds a large value at once. */
  readonly room: ByteBudget
}

/** What is read at once on a source that serves clients. */
const bytesAtOnce = 1024 * 1024
const footerBytes = 10

export class KeyCopier {
  readonly #options: KeyCopierOptions
  readonly #buffers: readonly CommandBuffer[]

  constructor(options: KeyCopierOptions) {
    this.#options = options
    this.#buffers = options.writers.map((writer) => writer.createBuffer((2 * bytesAtOnce) / options.writers.length))
  }

  /** Resolves, with their bytes, when they are durable on the target. Idempotent. One call at a time. */
  async copy(db: number, keys: readonly Buffer[]): Promise<number> {
    const { source, writers, writerOf, room } = this.#options
    const sizes = await source.sizes(db, keys)
    let bytes = 0
    for (const group of groupBySize(keys, sizes, bytesAtOnce)) {
      bytes += await room.hold(group.bytes, () => this.#copyGroup(db, group))
    }
    for (const [index, key] of keys.entries()) {
      if ((sizes[index] as number) <= largeBytes) continue
      bytes += await copyLarge({
        source: await source.serverOf(db, key),
        writer: writers[writerOf(key)] as BatchWriter,
        db,
        key,
        hasDeadlines: source.hasDeadlines,
      })
    }
    return bytes
  }

  async #copyGroup(db: number, { keys, bytes }: { readonly keys: Buffer[]; readonly bytes: number }): Promise<number> {
    const { source, writers, writerOf } = this.#options
    const { keys: looks } = await source.look(db, keys)
    // What has grown for a large value is not kept.
    const buffers = bytes > bytesAtOnce ? writers.map((writer) => writer.createBuffer(64 * 1024)) : this.#buffers
    for (const buffer of buffers) {
      buffer.clear()
      buffer.add(['SELECT', db])
    }
    for (const [index, key] of keys.entries()) {
      addCopy(buffers[writerOf(key)] as CommandBuffer, key, looks[index] as KeyLook, this.#options)
    }
    const full = [...buffers.entries()].filter(([, buffer]) => buffer.commands > 1)
    const outcomes = await Promise.allSettled(
      full.map(async ([at, buffer]) => {
        await writers[at]?.commit(buffer)
        return buffer.length
      }),
    )
    return outcomes.reduce((sum, outcome) => {
      if (outcome.status === 'rejected') throw outcome.reason
      return sum + outcome.value
    }, 0)
  }
}

export interface CopyOptions {
  /** Newest RDB version that the target restores. */
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
