/**
 * A value that cannot be taken apart and is too large to be held: it is kept in a nameless, encrypted file, since RESTORE
 * wants to know its length first.
 */
import { ReplatformError } from '@replatform/core/errors'
import { mostBulkBytes } from './bulk-limit.ts'
import { Crc64 } from './crc64.ts'
import { Spool } from './spool.ts'

const memoryBytes = 1 << 20
const footerBytes = 10

export class WholeValue implements AsyncDisposable {
  readonly #spool = new Spool({ memoryBytes })
  readonly #crc = new Crc64()
  #length = 0

  constructor(type: number) {
    this.#crc.updateByte(type)
    this.#length = 1
    void this.#spool.write(Buffer.of(type), 0)
  }

  /** Throws `redis.value-too-large` for what no server takes. */
  async add(bytes: Buffer): Promise<void> {
    this.#length += bytes.length
    if (this.#length + footerBytes > mostBulkBytes) throw tooLarge()
    this.#crc.update(bytes)
    await this.#spool.write(Buffer.from(bytes), 0)
  }

  /** The payload as DUMP would give it. */
  seal(version: number): { readonly length: number; readonly body: AsyncIterable<Buffer> } {
    const footer = Buffer.alloc(footerBytes)
    sealDump(footer, this.#crc, version)
    this.#spool.end(null)
    return { length: this.#length + footerBytes, body: this.#read(footer) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#spool[Symbol.asyncDispose]()
  }

  async *#read(footer: Buffer): AsyncGenerator<Buffer> {
    for (let piece = await this.#spool.read(); piece; piece = await this.#spool.read()) yield piece.data
    yield footer
  }
}

/** What DUMP puts behind a value: the version, and the checksum of all before, which `crc` is at. */
export function sealDump(footer: Buffer, crc: Crc64, version: number): void {
  footer.writeUInt16LE(version, 0)
  crc.update(footer, 0, 2)
  crc.writeTo(footer, 2)
}

function tooLarge(): ReplatformError {
  return new ReplatformError('redis.value-too-large', {
    message: 'A stream, or another value that has no parts, takes more than 512 MB in the snapshot of the source.',
  })
}

export function tooLargeForOlder(): ReplatformError {
  return new ReplatformError('redis.value-too-large', {
    message: 'A stream above 64 MB cannot be carried to a target that is older than the encoding of its source.',
  })
}
