/** Cuts the replication stream into what must be applied together: one command, or a transaction of the source. */
import { ReplatformError } from '@replatform/core/errors'
import { RespReader } from './resp-reader.ts'
import type { Piece } from './spool.ts'

export interface StreamUnit {
  readonly commands: readonly (readonly Buffer[])[]
  /** Of the stream, behind the unit. */
  readonly end: number
  readonly bytes: number
  readonly receivedAtMs: number
}

/** A value beyond it would not fit into a mover's memory. */
const largestCommand = 64 * 1024 * 1024
const largestTransaction = 128 * 1024 * 1024

export class StreamUnits {
  readonly #reader = new RespReader({ bulkBytes: largestCommand, valueBytes: largestCommand })
  readonly #from: number
  #receivedAtMs = 0
  #unitStart: number
  #transaction: Buffer[][] | null = null

  /** `from`: offset of the stream before the first byte that is pushed. */
  constructor(from: number) {
    this.#from = from
    this.#unitStart = from
  }

  push({ data, receivedAtMs }: Piece): void {
    this.#receivedAtMs = receivedAtMs
    this.#reader.push(data)
  }

  /** Undefined until more is pushed. Throws `redis.protocol`. */
  next(): StreamUnit | undefined {
    for (let value = this.#reader.next(); value !== undefined; value = this.#reader.next()) {
      const command = asCommand(value)
      const name = command[0] as Buffer
      if (this.#transaction) {
        if (isWord(name, 'exec')) return this.#unit(this.#transaction)
        this.#transaction.push(command)
        if (this.#offset - this.#unitStart > largestTransaction) throw tooLarge()
      } else if (isWord(name, 'multi')) {
        this.#transaction = []
      } else {
        return this.#unit([command])
      }
    }
    return undefined
  }

  get #offset(): number {
    return this.#from + this.#reader.consumed
  }

  #unit(commands: readonly (readonly Buffer[])[]): StreamUnit {
    const end = this.#offset
    const bytes = end - this.#unitStart
    this.#unitStart = end
    this.#transaction = null
    return { commands, end, bytes, receivedAtMs: this.#receivedAtMs }
  }
}

function asCommand(value: unknown): Buffer[] {
  if (Array.isArray(value) && value.length > 0 && value.every((part) => Buffer.isBuffer(part))) return value
  throw new ReplatformError('redis.protocol', { message: 'The replication stream holds what is no command.' })
}

function isWord(name: Buffer, word: string): boolean {
  return name.length === word.length && name.toString('latin1').toLowerCase() === word
}

function tooLarge(): ReplatformError {
  return new ReplatformError('redis.protocol', {
    message: `A transaction of the source is larger than ${largestTransaction >> 20} MB, which a mover cannot hold.`,
  })
}
