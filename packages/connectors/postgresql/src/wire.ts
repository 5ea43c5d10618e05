/**
 * The little of PostgreSQL's frontend/backend protocol that the hot paths speak themselves, below `pg`: every message
 * is one type byte, an int32 length that counts itself, and a body (PostgreSQL documentation, "Message Formats").
 */
import type { Socket } from 'node:net'
import type { Session } from './session.ts'

export const messageType = {
  copyData: 0x64, // d
  copyDone: 0x63, // c
  copyBothResponse: 0x57, // W
  error: 0x45, // E
} as const

/** What `pg` calls on a query object; the methods that a copy needs. */
export interface Submittable {
  submit(connection: WireConnection): void
  handleRowDescription(message: unknown): void
  handleDataRow(message: unknown): void
  handlePortalSuspended(connection: WireConnection): void
  handleEmptyQuery(connection: WireConnection): void
  handleCommandComplete(message: { text: string }, connection: WireConnection): void
  handleCopyInResponse(connection: WireConnection): void
  handleCopyData(message: unknown, connection: WireConnection): void
  handleReadyForQuery(connection: WireConnection): void
  handleError(error: Error, connection: WireConnection): void
}

/** The connection inside a `pg` client. */
export interface WireConnection {
  readonly stream: Socket
  query(text: string): void
  sendCopyFail(message: string): void
  endCopyFrom(): void
}

export function connectionOf(session: Session): WireConnection {
  return (session as unknown as { connection: WireConnection }).connection
}

/** A simple query whose rows nobody parses. Settles when the server is ready for the next one. */
export class RawQuery implements Submittable {
  readonly done: Promise<{ readonly tag: string }>
  /** Resolves when the server asks for copy data; rejects when it never will. */
  readonly copyIn: Promise<void>
  readonly #text: string
  readonly #done = Promise.withResolvers<{ tag: string }>()
  readonly #copyIn = Promise.withResolvers<void>()
  #tag = ''
  #error: Error | null = null

  constructor(text: string) {
    this.#text = text
    this.done = this.#done.promise
    this.copyIn = this.#copyIn.promise
    this.done.catch(() => {})
    this.copyIn.catch(() => {})
  }

  submit(connection: WireConnection): void {
    connection.query(this.#text)
  }

  handleCommandComplete(message: { text: string }): void {
    this.#tag = message.text
  }

  handleCopyInResponse(): void {
    this.#copyIn.resolve()
  }

  handleReadyForQuery(): void {
    if (!this.#error) this.#done.resolve({ tag: this.#tag })
  }

  handleError(error: Error): void {
    this.#error = error
    this.#copyIn.reject(error)
    this.#done.reject(error)
  }

  handleRowDescription(): void {}
  handleDataRow(): void {}
  handlePortalSuspended(): void {}
  handleEmptyQuery(): void {}
  handleCopyData(): void {}
}

export function submit(session: Session, query: RawQuery): void {
  session.query(query as unknown as Parameters<Session['query']>[0])
}
