import type { LargeFrameSink } from './frame-walker.ts'
import { messageStart, SpillingFrame, spilledFrameBytesLeast, WholeFrame } from './large-frame.ts'
import type { Lsn } from './lsn.ts'
import type { Message } from './pgoutput.ts'
import type { StreamSink } from './replication-stream.ts'
import type { SpilledFrames } from './spilled-frame.ts'

export interface MessageSinkOptions {
  readonly frames: SpilledFrames
  /** One pgoutput message: `data[at, end)`. The buffer stays valid as long as it is referenced. */
  readonly onMessage: (data: Buffer, at: number, end: number) => void
  /** One whose large values were set aside. */
  readonly onLarge: (message: Required<Message>) => void
  readonly onKeepalive: (walEnd: Lsn) => void
}

/** Unwraps messages for a follower; the large values of very large rows go to disk while they arrive. */
export class MessageSink implements StreamSink {
  readonly #options: MessageSinkOptions

  constructor(options: MessageSinkOptions) {
    this.#options = options
  }

  frame(data: Buffer, at: number, end: number): void {
    this.#options.onMessage(data, at + messageStart, end)
  }

  large(bytes: number): LargeFrameSink {
    const { frames, onMessage, onLarge } = this.#options
    if (bytes < spilledFrameBytesLeast) {
      return new WholeFrame(bytes, (frame) => onMessage(frame, messageStart, frame.length))
    }
    return new SpillingFrame(frames.create(), (data, spilled) => onLarge({ data, at: 0, end: data.length, spilled }))
  }

  keepalive(walEnd: Lsn): void {
    this.#options.onKeepalive(walEnd)
  }
}
