/**
 * The large values of one row of the change stream, on disk from their first byte on until the row is written, so that
 * this process never holds one whole. In a file without a name, under a key that exists in this process only.
 *
 * Reads and writes are synchronous on purpose: the bytes come from the socket one chunk after the other, and each must
 * be out of the way before the next. They reach the page cache, not the disk.
 */
import { randomBytes } from 'node:crypto'
import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { ReplatformError } from '@replatform/core/errors'
import { keyBytes, sealBlock, sealBytes, unsealBlock } from '@replatform/engine/sealed-block'

const blockBytes = 1024 * 1024

/** What stands in a tuple for a value that was set aside: its place in the file and its length, 48 bits each. */
export const referenceBytes = 12

export class SpilledFrame {
  /** Of all values in it. */
  bytes = 0
  readonly #key = randomBytes(keyBytes)
  readonly #file: number
  readonly #onClose: () => void
  #end = 0
  #block: Buffer = Buffer.allocUnsafe(blockBytes)
  #filled = 0
  #isOpen = true

  constructor(folder: string, onClose: () => void = () => {}) {
    this.#onClose = onClose
    this.#file = onDisk(() => {
      const path = join(folder, `replatform-row-${randomBytes(8).toString('hex')}`)
      const file = openSync(path, 'wx+', 0o600)
      unlinkSync(path)
      return file
    })
  }

  /** The next bytes of the value in work. */
  append(data: Buffer, from: number, to: number): void {
    for (let at = from; at < to; ) {
      const taken = data.copy(this.#block, this.#filled, at, to)
      at += taken
      this.#filled += taken
      if (this.#filled === blockBytes) this.#write()
    }
  }

  /** Ends the value in work, of so many bytes, and says where it is. */
  finish(bytes: number): Buffer {
    this.#write()
    const reference = Buffer.alloc(referenceBytes)
    reference.writeUIntBE(this.#end - sealedLength(bytes), 0, 6)
    reference.writeUIntBE(bytes, 6, 6)
    this.bytes += bytes
    return reference
  }

  /** The value that a reference, `data[at, …)`, stands for, piece by piece; every piece but the last is of even length. */
  *read(data: Buffer, at: number): Generator<Buffer> {
    let place = data.readUIntBE(at, 6)
    for (let left = data.readUIntBE(at + 6, 6); left > 0; ) {
      const bytes = Math.min(left, blockBytes)
      const sealed = Buffer.allocUnsafe(bytes + sealBytes)
      readSync(this.#file, sealed, 0, sealed.length, place)
      yield unsealBlock(sealed, this.#key, place)
      place += sealed.length
      left -= bytes
    }
  }

  /** Idempotent. */
  close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#block = Buffer.alloc(0)
    closeSync(this.#file)
    this.#onClose()
  }

  #write(): void {
    if (this.#filled === 0) return
    const sealed = sealBlock(this.#block.subarray(0, this.#filled), this.#key, this.#end)
    onDisk(() => writeAll(this.#file, sealed, this.#end))
    this.#end += sealed.length
    this.#filled = 0
  }
}

/** Those that are not written yet; what is left of them ends with the stream. */
export class SpilledFrames implements Disposable {
  readonly #folder: string
  readonly #open = new Set<SpilledFrame>()

  constructor(folder: string) {
    this.#folder = folder
  }

  create(): SpilledFrame {
    const frame: SpilledFrame = new SpilledFrame(this.#folder, () => this.#open.delete(frame))
    this.#open.add(frame)
    return frame
  }

  [Symbol.dispose](): void {
    for (const frame of this.#open) frame.close()
  }
}

function sealedLength(bytes: number): number {
  return bytes + Math.ceil(bytes / blockBytes) * sealBytes
}

function writeAll(file: number, data: Buffer, place: number): void {
  for (let at = 0; at < data.length; ) at += writeSync(file, data, at, data.length - at, place + at)
}

/** Throws `mover.disk-full` where there is no room. */
function onDisk<T>(work: () => T): T {
  try {
    return work()
  } catch (thrown) {
    throw diskError(thrown)
  }
}

const full = new Set(['ENOSPC', 'EDQUOT'])
const unusable = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOENT', 'ENOTDIR', 'EEXIST'])

/** What a disk of the mover's own machine says; other errors are left as they are. */
export function diskError(thrown: unknown): unknown {
  const { code = '', path = '' } = thrown as { code?: string; path?: string }
  const cause = new Error(code)
  if (full.has(code)) {
    return new ReplatformError('mover.disk-full', {
      message: `The disk of the machine that runs the mover has no room left${path ? ` for ${path}` : ''}.`,
      cause,
    })
  }
  if (!unusable.has(code)) return thrown
  return new ReplatformError('mover.folder-unusable', {
    message: `The mover cannot write ${path || 'to its folder'} (${code}).`,
    cause,
  })
}
