/** Cuts the replication stream into what must be applied together: one command, or a transaction of the source. */

import { CommandScanner, mostHeldBytes } from './command-scanner.ts'
import { LargeUnit } from './large-unit.ts'
import type { Piece } from './spool.ts'
import { StreamCommand } from './stream-command.ts'

export interface StreamUnit {
  /** None where it is `large`. */
  readonly commands: readonly StreamCommand[]
  /** What is too large to be held. Whether it is depends on its bytes only, not on how they came. */
  readonly large: LargeUnit | null
  /** Of the stream, behind the unit. */
  readonly end: number
  readonly bytes: number
  readonly receivedAtMs: number
}

export class StreamUnits implements AsyncDisposable {
  readonly #scanner = new CommandScanner()
  readonly #from: number
  #receivedAtMs = 0
  #unitStart: number
  #transaction: StreamCommand[] | null = null
  #large: LargeUnit | null = null

  /** `from`: offset of the stream before the first byte that is pushed. */
  constructor(from: number) {
    this.#from = from
    this.#unitStart = from
  }

  push({ data, receivedAtMs }: Piece): void {
    this.#receivedAtMs = receivedAtMs
    this.#scanner.push(data)
  }

  /** Undefined until more is pushed. Throws `redis.protocol` or `redis.value-too-large`. */
  next(): StreamUnit | undefined {
    for (let found = this.#scanner.next(); found; found = this.#scanner.next()) {
      if (!(found instanceof StreamCommand)) {
        this.#spill().addLarge(found)
        if (found.outline && !this.#transaction) return this.#unit([])
        continue
      }
      // MULTI and EXEC have no arguments.
      const name = found.count === 1 ? found.name.toLowerCase() : ''
      if (this.#transaction) {
        if (name === 'exec') return this.#unit(this.#transaction)
        this.#add(found, this.#transaction)
      } else if (name === 'multi') {
        this.#transaction = []
      } else {
        return this.#unit([found])
      }
    }
    return undefined
  }

  /** Awaited after each look: what is large goes to its file. */
  async flush(): Promise<void> {
    await this.#large?.flush()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#large?.[Symbol.asyncDispose]()
  }

  #add(command: StreamCommand, transaction: StreamCommand[]): void {
    if (this.#large) this.#large.add(command.bytes)
    else transaction.push(command)
    if (this.#offset - this.#unitStart > mostHeldBytes) this.#spill()
  }

  #spill(): LargeUnit {
    if (!this.#large) {
      this.#large = new LargeUnit({ isTransaction: this.#transaction !== null })
      for (const { bytes } of this.#transaction?.splice(0) ?? []) this.#large.add(bytes)
    }
    return this.#large
  }

  get #offset(): number {
    return this.#from + this.#scanner.consumed
  }

  #unit(commands: readonly StreamCommand[]): StreamUnit {
    const end = this.#offset
    const bytes = end - this.#unitStart
    this.#unitStart = end
    this.#transaction = null
    const large = this.#large
    this.#large = null
    return { commands, large, end, bytes, receivedAtMs: this.#receivedAtMs }
  }
}
