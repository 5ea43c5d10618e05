/**
 * Which messages the target has already, by the id that their producer gave them. A marker of each transaction commits
 * with its messages and lists their digests:
 *
 *   1 transaction: messages + marker     2 commit     3 the source is acknowledged     4 the marker may go
 *
 * A crash between 2 and 3 brings the messages again; the next mover finds the marker and drops them. After a crash of the
 * *source* even acknowledged messages may come again, since acknowledgements reach its disk late: so markers stay for a
 * while after 3. One entry absorbs one message.
 */
import { createHash } from 'node:crypto'
import { readProperties } from '@replatform/connector-rabbitmq/message-properties'
import type { SourceMessage } from '@replatform/connector-rabbitmq/source-message'

const digestBytes = 16

/**
 * Of id and content together: two messages under one id that differ are two messages. Undefined where the producer gave
 * no id.
 */
export function digestOf({ exchange, routingKey, properties, body }: SourceMessage): string | undefined {
  const { messageId } = readProperties(properties)
  if (!messageId) return undefined
  const hash = createHash('sha256')
  for (const part of [messageId, exchange, routingKey]) hash.update(`${Buffer.byteLength(part)}:${part}`)
  return hash.update(body).digest().subarray(0, digestBytes).toString('base64')
}

export function encodeMarker(digests: readonly string[]): Buffer {
  return Buffer.concat(digests.map((digest) => Buffer.from(digest, 'base64')))
}

export function decodeMarker(body: Buffer): string[] {
  const digests: string[] = []
  for (let at = 0; at + digestBytes <= body.length; at += digestBytes) {
    digests.push(body.subarray(at, at + digestBytes).toString('base64'))
  }
  return digests
}

/** How often each digest may still come again. */
export class KnownMessages {
  readonly #counts = new Map<string, number>()

  add(digests: readonly string[]): void {
    for (const digest of digests) this.#counts.set(digest, (this.#counts.get(digest) ?? 0) + 1)
  }

  /** Whether it was known; then once less. */
  absorb(digest: string): boolean {
    const count = this.#counts.get(digest)
    if (count === undefined) return false
    if (count === 1) this.#counts.delete(digest)
    else this.#counts.set(digest, count - 1)
    return true
  }
}
