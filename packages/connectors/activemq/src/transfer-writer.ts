/**
 * Transfers of AMQP 1.0 (OASIS, part 2, section 2.7.5) as bytes. rhea spends a system call, two timers and a generic
 * encoder on each; what a transaction brings goes in a few large pieces instead.
 */
import { ChunkedOutput } from '@replatform/connector-rabbitmq/chunked-output'
import type { Connection } from 'rhea'

/** Larger messages are handed to the socket as they are instead of being copied. */
const copiedBytes = 16 * 1024
const frameHeadBytes = 8
/** Where the delivery's number stands, as its id and as its tag. */
const idAt = frameHeadBytes + 3 + 3 + 2 + 1
const tagAt = idAt + 4 + 2
const moreAt = tagAt + 4 + 2

/** What all transfers of a link within a transaction begin with. */
export type TransferHead = Buffer

/** `transaction` undefined: outside of any. */
export function transferHead(options: {
  readonly channel: number
  readonly handle: number
  readonly transaction: Buffer | undefined
}): TransferHead {
  const { channel, handle, transaction } = options
  const fields = [
    [0x52, handle],
    // Delivery id and tag: the same number.
    [0x70, 0, 0, 0, 0],
    [0xa0, 4, 0, 0, 0, 0],
    // Message format 0, not settled, nothing more, no settle mode.
    [0x43, 0x42, 0x42, 0x40],
    transaction ? [0, 0x53, 0x34, 0xc0, transaction.length + 3, 1, 0xa0, transaction.length, ...transaction] : [0x40],
  ].flat()
  const frame = [0, 0, 0, 0, 2, 0, channel >> 8, channel & 0xff]
  return Buffer.from([...frame, 0, 0x53, 0x14, 0xc0, fields.length + 1, 8, ...fields])
}

interface RheaConnection {
  readonly socket: { write(bytes: Buffer): boolean }
  readonly max_frame_size?: number
}

export class TransferWriter {
  readonly #connection: RheaConnection
  readonly #output: ChunkedOutput

  constructor(connection: Connection) {
    const own = connection as unknown as RheaConnection
    this.#connection = own
    this.#output = new ChunkedOutput({ write: (bytes) => own.socket.write(bytes), copiedBytes })
  }

  /** Frames that a message of so many bytes takes. */
  framesOf(head: TransferHead, bytes: number): number {
    return Math.max(1, Math.ceil(bytes / this.#payloadMost(head)))
  }

  /** Goes with the next `flush`. */
  write(head: TransferHead, deliveryId: number, encoded: Buffer): void {
    const most = this.#payloadMost(head)
    for (let at = 0; at === 0 || at < encoded.length; at += most) {
      this.#frame(head, deliveryId, encoded.subarray(at, at + most), at + most < encoded.length)
    }
  }

  flush(): void {
    this.#output.flush()
  }

  #payloadMost(head: TransferHead): number {
    const { max_frame_size: most = 0xffff_ffff } = this.#connection
    return most - head.length
  }

  /** In one piece: rhea and the writers of other sessions write to the same connection, between any two pieces. */
  #frame(head: TransferHead, deliveryId: number, payload: Buffer, hasMore: boolean): void {
    const isCopied = payload.length <= copiedBytes
    const at = this.#output.reserve(head.length + (isCopied ? payload.length : 0))
    const { chunk } = this.#output
    head.copy(chunk, at)
    chunk.writeUInt32BE(head.length + payload.length, at)
    chunk.writeUInt32BE(deliveryId, at + idAt)
    chunk.writeUInt32BE(deliveryId, at + tagAt)
    if (hasMore) chunk[at + moreAt] = 0x41
    if (isCopied) payload.copy(chunk, at + head.length)
    else this.#output.append(payload)
  }
}
