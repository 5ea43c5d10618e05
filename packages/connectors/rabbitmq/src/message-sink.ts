/**
 * The seam between the bridge and a target broker. The bridge reads a queue of the source, hands its messages over in
 * their order, and acknowledges to the source only what the sink has reported as confirmed:
 *
 *   source ──deliver──► bridge ──send──► sink ──► target
 *          ◄──ack─────         ◄──confirmed──    ◄── confirmed: durable there, or it was there already
 *
 * A sink holds no message back for long: it forwards at once or collects a transaction, whose end `flush` asks for.
 * The bridge bounds what is between `send` and `confirmed` (count and bytes); a sink needs no bound of its own. A message
 * that is neither confirmed nor refused when the sink ends stays on the source, which delivers it again.
 */
import type { ReplatformError } from '@replatform/core/errors'
import type { SourceMessage } from './source-message.ts'

export type Delivery = 'exactly-once' | 'at-least-once'

export interface SinkEvents {
  /**
   * Durable on the target, in any order of messages. `was-there`: a marker on the target says that an earlier mover had
   * stored it, so it was not sent again.
   */
  confirmed(message: SourceMessage, how: 'stored' | 'was-there'): void
  /**
   * The target would not take this message, and has not stored it: it stays on the source. `retry` of the error says
   * whether the bridge tries it again (full) or stops the queue for a person (cannot be expressed there).
   */
  refused(message: SourceMessage, error: ReplatformError): void
  /** The link or the target is gone, or the epoch was superseded. Nothing more will be confirmed. */
  failed(error: ReplatformError): void
}

export interface MessageSink extends AsyncDisposable {
  /**
   * `exactly-once` only where message and marker commit in one transaction of the target and the source's messages
   * carry a stable id; a redelivered message that a marker names is then confirmed as `was-there`.
   */
  readonly delivery: Delivery
  /** Hands a message over. Never throws and never blocks: what goes wrong comes as an event. */
  send(message: SourceMessage): void
  /** The source has nothing more at the moment: what waits for a fuller batch goes now. */
  flush(): void
  /** The source has forgotten this message and all before it: markers about them may go. Best effort. */
  acknowledged(message: SourceMessage): void
}
