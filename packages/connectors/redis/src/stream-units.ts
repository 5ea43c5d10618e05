/** Cuts the replication stream into what must be applied together: one command, or a transaction of the source. */
import { ReplatformError } from '@replatform/core/errors'
import type { Piece } from './spool.ts'
import { CommandScanner, type StreamCommand } from './stream-command.ts'

export interface StreamUnit {
  readonly commands: readonly StreamCommand[]
  /** Of the stream, behind the unit. */
  readonly end: number
  readonly bytes: number
  readonly receivedAtMs: number
}

const largestTransaction = 128 * 1024 * 1024

export class StreamUnits {
  readonly #scanner = new CommandScanner()
  readonly #from: number
  #receivedAtMs = 0
  #unitStart: number
  #transaction: StreamCommand[] | null = null

  /** `from`: offset of the stream before the first byte that is pushed. */
  constructor(from: number) {
    this.#from = from
    this.#unitStart = from
  }

  push({ data, receivedAtMs }: Piece): void {
    this.#receivedAtMs = receivedAtMs
    this.#scanner.push(data)
  }

  /** Undefined until more is pushed. Throws `redis.protocol`. */
  next(): StreamUnit | undefined {
    for (let command = this.#scanner.next(); command; command = this.#scanner.next()) {
      // MULTI and EXEC have no arguments.
      const name = command.count === 1 ? command.name.toLowerCase() : ''
      if (this.#transaction) {
        if (name === 'exec') return this.#unit(this.#transaction)
        this.#transaction.push(command)
        if (this.#offset - this.#unitStart > largestTransaction) throw tooLarge()
      } else if (name === 'multi') {
        this.#transaction = []
      } else {
        return this.#unit([command])
      }
    }
    return undefined
  }

  get #offset(): number {
    return this.#from + this.#scanner.consumed
  }

  #unit(commands: readonly StreamCommand[]): StreamUnit {
    const end = this.#offset
    const bytes = end - this.#unitStart
    this.#unitStart = end
    this.#transaction = null
    return { commands, end, bytes, receivedAtMs: this.#receivedAtMs }
  }
}

function tooLarge(): ReplatformError {
  return new ReplatformError('redis.protocol', {
    message: `A transaction of the source is larger than ${largestTransaction >> 20} MB, which a mover cannot hold.`,
  })
}
