/**
 * Frames and methods of AMQP 0-9-1 as the data path needs them. Messages are forwarded as the bytes that arrived: no
 * property is decoded and no body copied more than once, so that the brokers are the limit and not this process.
 */
import { shortText } from './field-table.ts'

export const frameType = { method: 1, header: 2, body: 3, heartbeat: 8 } as const
export const frameEnd = 0xce
/** Type, channel, size; the end octet is not among them. */
export const frameHeadBytes = 7

/** Class and method in one number, as they stand at the beginning of a method frame. */
export const method = {
  connectionStart: 0x000a000a,
  connectionStartOk: 0x000a000b,
  connectionTune: 0x000a001e,
  connectionTuneOk: 0x000a001f,
  connectionOpen: 0x000a0028,
  connectionOpenOk: 0x000a0029,
  connectionClose: 0x000a0032,
  connectionCloseOk: 0x000a0033,
  connectionBlocked: 0x000a003c,
  connectionUnblocked: 0x000a003d,
  channelOpen: 0x0014000a,
  channelOpenOk: 0x0014000b,
  channelFlow: 0x00140014,
  channelFlowOk: 0x00140015,
  channelClose: 0x00140028,
  channelCloseOk: 0x00140029,
  queueDeclare: 0x0032000a,
  queueDeclareOk: 0x0032000b,
  basicQos: 0x003c000a,
  basicQosOk: 0x003c000b,
  basicConsume: 0x003c0014,
  basicConsumeOk: 0x003c0015,
  basicCancel: 0x003c001e,
  basicCancelOk: 0x003c001f,
  basicPublish: 0x003c0028,
  basicReturn: 0x003c0032,
  basicDeliver: 0x003c003c,
  basicAck: 0x003c0050,
  basicNack: 0x003c0078,
  confirmSelect: 0x0055000a,
  confirmSelectOk: 0x0055000b,
} as const

/** The arguments of a method, written one after the other. */
export class MethodWriter {
  readonly #parts: Buffer[]

  constructor(id: number) {
    this.#parts = []
    this.long(id)
  }

  octet(value: number): this {
    this.#parts.push(Buffer.of(value))
    return this
  }

  short(value: number): this {
    const part = Buffer.alloc(2)
    part.writeUInt16BE(value)
    return this.raw(part)
  }

  long(value: number): this {
    const part = Buffer.alloc(4)
    part.writeUInt32BE(value)
    return this.raw(part)
  }

  /** 64 bits; exact up to 2⁵³. */
  longLong(value: number): this {
    const part = Buffer.alloc(8)
    part.writeBigUInt64BE(BigInt(value))
    return this.raw(part)
  }

  text(value: string): this {
    return this.raw(shortText(value))
  }

  longText(value: Buffer): this {
    return this.long(value.length).raw(value)
  }

  raw(part: Buffer): this {
    this.#parts.push(part)
    return this
  }

  done(): Buffer {
    return Buffer.concat(this.#parts)
  }
}

export function readShortText(buffer: Buffer, at: number): { text: string; end: number } {
  const end = at + 1 + buffer.readUInt8(at)
  return { text: buffer.toString('utf8', at + 1, end), end }
}

/** Delivery tags count up from 1, so they stay exact in a number. */
export function readTag(buffer: Buffer, at: number): number {
  return buffer.readUInt32BE(at) * 0x1_0000_0000 + buffer.readUInt32BE(at + 4)
}
