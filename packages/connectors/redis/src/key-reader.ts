/** The keys of one side as a comparison reads them, wherever they lie. */
import type { Connection } from './connection.ts'
import { type LookedAt, lookAtKeys, readSizes, requireFlags, scanKeys } from './key-look.ts'
import { readKeyspace } from './server-info.ts'

export interface KeyReader {
  /** False before 7.0, which tells only what is left of a deadline. */
  readonly hasDeadlines: boolean
  /** Keys of each database that holds any. */
  databases(): Promise<ReadonlyMap<number, number>>
  /** Every key, a page at a time; one may come twice. */
  scan(db: number, signal: AbortSignal | undefined): AsyncIterable<Buffer[]>
  /** Bytes that each key takes in memory; 0 for none. */
  sizes(db: number, keys: readonly Buffer[]): Promise<number[]>
  exist(db: number, keys: readonly Buffer[]): Promise<boolean[]>
  /** Those of one server at one moment of its replication stream. */
  look(db: number, keys: readonly Buffer[]): Promise<LookedAt>
  /** The server that the key belongs to, its database selected. */
  serverOf(db: number, key: Buffer): Promise<Connection>
}

/** One server with all its databases. */
export class ServerReader implements KeyReader {
  readonly hasDeadlines: boolean
  readonly #server: Connection

  constructor(server: Connection, major: number) {
    this.#server = server
    this.hasDeadlines = major >= 7
  }

  databases(): Promise<ReadonlyMap<number, number>> {
    return readKeyspace(this.#server)
  }

  scan(db: number, signal: AbortSignal | undefined): AsyncIterable<Buffer[]> {
    return scanKeys(this.#server, db, signal)
  }

  sizes(db: number, keys: readonly Buffer[]): Promise<number[]> {
    return readSizes(this.#server, db, keys)
  }

  async exist(db: number, keys: readonly Buffer[]): Promise<boolean[]> {
    const [, ...exists] = await this.#server.pipeline([['SELECT', db], ...keys.map((key) => ['EXISTS', key])])
    return requireFlags(this.#server, exists)
  }

  look(db: number, keys: readonly Buffer[]): Promise<LookedAt> {
    return lookAtKeys(this.#server, db, keys, this.hasDeadlines)
  }

  async serverOf(db: number): Promise<Connection> {
    await this.#server.command('SELECT', db)
    return this.#server
  }
}
