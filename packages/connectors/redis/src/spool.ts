/**
 * What the source has sent and the target has not taken yet, in order: in memory as long as it is little, beyond that
 * in a file, so that the source need not keep it in its own memory (and drop us when that is full).
 *
 * The file has no name from its first moment on and is encrypted with a key that exists in this process only: nothing
 * of it can be read after the process, whatever ends it.
 */
import { randomBytes } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { keyBytes, openNameless, sealBytes, sealParts, unsealBlock } from '@replatform/engine/sealed-block'

export interface Piece {
  readonly data: Buffer
  /** Milliseconds since 1970 by our clock; of the first byte where pieces were put together. */
  readonly receivedAtMs: number
}

export interface SpoolOptions {
  readonly folder?: string
  readonly memoryBytes?: number
  readonly blockBytes?: number
}

interface Block {
  readonly at: number
  readonly bytes: number
  readonly nonce: number
  readonly receivedAtMs: number
}

export class Spool implements AsyncDisposable {
  readonly #folder: string
  readonly #memoryBytes: number
  readonly #blockBytes: number
  readonly #key = randomBytes(keyBytes)
  #front: Piece[] = []
  #frontBytes = 0
  #blocks: Block[] = []
  #tail: Piece[] = []
  #tailBytes = 0
  #file: FileHandle | null = null
  #fileEnd = 0
  #nonce = 0
  #writing: Promise<void> | null = null
  #arrived = Promise.withResolvers<void>()
  #end: { readonly error: Error | null } | null = null
  #waitingBytes = 0
  /** For the block that is being read: garbage of that size is memory that a mover must have as well. */
  #room: Buffer = Buffer.alloc(0)
  /** For the block that is being written. */
  #plain: Buffer = Buffer.alloc(0)

  constructor({ folder = tmpdir(), memoryBytes = 16 << 20, blockBytes = 1 << 20 }: SpoolOptions = {}) {
    this.#folder = folder
    this.#memoryBytes = memoryBytes
    this.#blockBytes = blockBytes
  }

  /** Bytes that were written and not read yet. */
  get bytes(): number {
    return this.#waitingBytes
  }

  /** When the next piece came, or null when none waits. */
  get oldestMs(): number | null {
    return (this.#front[0] ?? this.#blocks[0] ?? this.#tail[0])?.receivedAtMs ?? null
  }

  /** Whether a file was ever needed. */
  get hasSpilled(): boolean {
    return this.#file !== null
  }

  /** Resolves when there is room for more: a writer that waits for it bounds the memory. */
  async write(data: Buffer, receivedAtMs: number): Promise<void> {
    this.#waitingBytes += data.length
    const isSpilling = this.#blocks.length > 0 || this.#tail.length > 0 || this.#writing !== null
    if (!isSpilling && this.#frontBytes < this.#memoryBytes) {
      this.#front.push({ data, receivedAtMs })
      this.#frontBytes += data.length
    } else {
      this.#tail.push({ data, receivedAtMs })
      this.#tailBytes += data.length
    }
    this.#wake()
    if (this.#tailBytes < this.#blockBytes) return
    await this.#writing
    if (this.#tailBytes < this.#blockBytes) return
    this.#writing = this.#spill().finally(() => {
      this.#writing = null
      this.#wake()
    })
    await this.#writing
  }

  /** What was written stays to be read; then `read` throws the error, or gives null where there is none. */
  end(error: Error | null): void {
    this.#end ??= { error }
    this.#wake()
  }

  /** Waits for the next piece. One reader at a time. */
  async read(): Promise<Piece | null> {
    for (;;) {
      const piece = this.#front.shift() ?? (await this.#readBlock())
      if (piece) {
        this.#waitingBytes -= piece.data.length
        return piece
      }
      if (this.#writing) {
        await this.#writing
      } else if (this.#tail.length > 0) {
        this.#front = this.#tail
        this.#frontBytes = this.#tailBytes
        this.#tail = []
        this.#tailBytes = 0
      } else if (this.#end) {
        if (this.#end.error) throw this.#end.error
        return null
      } else {
        this.#frontBytes = 0
        await this.#arrived.promise
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end(null)
    await this.#writing?.catch(() => {})
    await this.#file?.close()
    this.#file = null
  }

  #wake(): void {
    this.#arrived.resolve()
    this.#arrived = Promise.withResolvers()
  }

  async #spill(): Promise<void> {
    const [first] = this.#tail
    if (!first) return
    const plain = this.#joinTail()
    this.#tail = []
    this.#tailBytes = 0
    const block = { at: this.#fileEnd, bytes: plain.length, nonce: this.#nonce++, receivedAtMs: first.receivedAtMs }
    const sealed = sealParts(plain, this.#key, block.nonce)
    this.#file ??= await openNameless(this.#folder)
    const { bytesWritten } = await this.#file.writev(sealed, block.at)
    if (bytesWritten < block.bytes + sealBytes) throw Object.assign(new Error('the disk is full'), { code: 'ENOSPC' })
    this.#fileEnd += bytesWritten
    this.#blocks.push(block)
  }

  /** In the room that the block before had: it is sealed already. */
  #joinTail(): Buffer {
    if (this.#plain.length < this.#tailBytes) this.#plain = Buffer.allocUnsafeSlow(this.#tailBytes + (64 << 10))
    let at = 0
    for (const { data } of this.#tail) at += data.copy(this.#plain, at)
    return this.#plain.subarray(0, at)
  }

  async #readBlock(): Promise<Piece | undefined> {
    const block = this.#blocks[0]
    if (!block || !this.#file) return undefined
    const sealedBytes = block.bytes + sealBytes
    if (this.#room.length < sealedBytes) this.#room = Buffer.allocUnsafeSlow(sealedBytes)
    const sealed = this.#room.subarray(0, sealedBytes)
    await this.#file.read(sealed, 0, sealedBytes, block.at)
    const data = unsealBlock(sealed, this.#key, block.nonce)
    this.#blocks.shift()
    if (this.#blocks.length === 0 && !this.#writing) {
      this.#fileEnd = 0
      await this.#file.truncate(0)
    }
    return { data, receivedAtMs: block.receivedAtMs }
  }
}
