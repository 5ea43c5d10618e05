/**
 * What must be applied together and is too large to be held: a command, or a transaction. It waits in a nameless,
 * encrypted file, and is read once, command by command.
 */

import { invariant } from '@replatform/core/errors'
import { CommandScanner, type LargePiece } from './command-scanner.ts'
import type { Outline } from './large-scan.ts'
import { Spool } from './spool.ts'
import { StreamCommand } from './stream-command.ts'

const memoryBytes = 1 << 20

export class LargeUnit implements AsyncDisposable {
  /** Several commands that must be seen together. */
  readonly isTransaction: boolean
  readonly #spool = new Spool({ memoryBytes })
  readonly #large: { readonly at: number; readonly outline: Outline }[] = []
  #pending: Buffer[] = []
  #bytes = 0

  constructor({ isTransaction }: { readonly isTransaction: boolean }) {
    this.isTransaction = isTransaction
  }

  add(bytes: Buffer): void {
    this.#pending.push(bytes)
    this.#bytes += bytes.length
  }

  addLarge({ bytes, outline }: LargePiece): void {
    this.add(bytes)
    if (outline) this.#large.push({ at: this.#bytes - outline.bytes, outline })
  }

  /** Awaited before more is added than memory has room for. */
  async flush(): Promise<void> {
    const pending = this.#pending
    this.#pending = []
    for (const bytes of pending) await this.#spool.write(bytes, 0)
  }

  /** In their order, once. A large one must be read before the next is asked for. */
  async *commands(): AsyncGenerator<StreamCommand | LargeStreamCommand> {
    await this.flush()
    this.#spool.end(null)
    const reader = new PieceReader(this.#spool)
    for (const { at, outline } of this.#large) {
      yield* smallCommands(reader, at)
      yield new LargeStreamCommand(outline, reader)
      await reader.skipTo(at + outline.bytes)
    }
    yield* smallCommands(reader, this.#bytes)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#spool[Symbol.asyncDispose]()
  }
}

/** A command whose bytes are read while it is applied. */
export class LargeStreamCommand {
  readonly outline: Outline
  readonly #reader: PieceReader
  readonly #start: number

  constructor(outline: Outline, reader: PieceReader) {
    this.outline = outline
    this.#reader = reader
    this.#start = reader.at
  }

  /** As they came, from one place within the command to another. Only forwards. */
  async *read(from: number, to: number): AsyncGenerator<Buffer> {
    await this.#reader.skipTo(this.#start + from)
    yield* this.#reader.upTo(this.#start + to)
  }
}

async function* smallCommands(reader: PieceReader, to: number): AsyncGenerator<StreamCommand> {
  const scanner = new CommandScanner()
  for await (const piece of reader.upTo(to)) {
    scanner.push(piece)
    for (let command = scanner.next(); command; command = scanner.next()) {
      if (command instanceof StreamCommand) yield command
    }
  }
}

/** The bytes of the file from its beginning to its end. */
class PieceReader {
  at = 0
  readonly #spool: Spool
  #rest: Buffer = Buffer.alloc(0)

  constructor(spool: Spool) {
    this.#spool = spool
  }

  async *upTo(end: number): AsyncGenerator<Buffer> {
    while (this.at < end) {
      if (this.#rest.length === 0) {
        const next = await this.#spool.read()
        invariant(next, 'What waits in the file is as long as what was written to it.')
        this.#rest = next.data
      }
      const piece = this.#rest.subarray(0, end - this.at)
      this.#rest = this.#rest.subarray(piece.length)
      this.at += piece.length
      yield piece
    }
  }

  async skipTo(end: number): Promise<void> {
    for await (const _ of this.upTo(end));
  }
}
