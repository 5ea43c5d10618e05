import { deserializeError, ReplatformError, type SerializedError } from '@replatform/core/errors'
import type { Channel, MoverEvent, MoverRequest, MoverVerb, MoverVerbs } from './mover-protocol.ts'

interface Pending {
  readonly resolve: (result: unknown) => void
  readonly reject: (error: Error) => void
}

/**
 * The worker's end of a mover process. Every call that is open when the channel closes fails with `mover.crashed`,
 * and so does every later one: the caller starts a new process and calls again, since all verbs are idempotent.
 */
export class MoverClient {
  readonly closed: Promise<void>
  readonly #channel: Channel
  readonly #pending = new Map<number, Pending>()
  readonly #handlers = new Set<(event: MoverEvent) => void>()
  #nextId = 1
  #isClosed = false

  constructor(channel: Channel) {
    this.#channel = channel
    channel.onMessage((message) => this.#receive(message))
    this.closed = new Promise((resolve) => {
      channel.onClose(() => {
        this.#isClosed = true
        for (const pending of this.#pending.values()) pending.reject(crashed())
        this.#pending.clear()
        resolve()
      })
    })
  }

  call<V extends MoverVerb>(verb: V, params: MoverVerbs[V]['params']): Promise<MoverVerbs[V]['result']> {
    if (this.#isClosed) return Promise.reject(crashed())
    const id = this.#nextId++
    const request: MoverRequest = { id, verb, params }
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve: (result) => resolve(result as MoverVerbs[V]['result']), reject })
      this.#channel.send(request)
    })
  }

  /** Returns a function that takes the handler off again. */
  onEvent(handler: (event: MoverEvent) => void): () => void {
    this.#handlers.add(handler)
    return () => this.#handlers.delete(handler)
  }

  #receive(message: unknown): void {
    if (isEvent(message)) {
      for (const handler of this.#handlers) handler(message)
      return
    }
    const answer = message as { id: number; result?: unknown; error?: SerializedError }
    const pending = this.#pending.get(answer.id)
    if (!pending) return
    this.#pending.delete(answer.id)
    if (answer.error) pending.reject(deserializeError(answer.error))
    else pending.resolve(answer.result)
  }
}

function isEvent(message: unknown): message is MoverEvent {
  return typeof message === 'object' && message !== null && 'event' in message
}

function crashed(): ReplatformError {
  return new ReplatformError('mover.crashed', { message: 'The mover process ended before it answered.' })
}
