/**
 * One file of a durable spool: a salt, then blocks, each with its sealed length before it. The first block is the
 * segment's head. Every block says up to where in the log everything is in the spool once it is there. A segment begins
 * between two transactions.
 */
import { hkdfSync, randomBytes } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { keyBytes, sealBlock, sealBytes, unsealBlock } from '@replatform/engine/sealed-block'
import { formatLsn, type Lsn, parseLsn } from './lsn.ts'

export interface SegmentHead {
  /** What was committed before it lies before this segment. */
  readonly position: Lsn
  /** Of the same stream as the segment before it, which is whole then; otherwise that may have been cut off. */
  readonly isContinued: boolean
  /** The segment before it and its length; null for the first one. */
  readonly after: { readonly name: string; readonly bytes: number } | null
  /** The stream's descriptions of tables so far: it gives each once. */
  readonly relations: readonly Buffer[]
}

export interface SpoolBlock {
  readonly position: Lsn
  readonly data: Buffer
}

const saltBytes = 16
const lengthBytes = 4
const positionBytes = 8
/** More than any block has: what claims to be longer is damaged. */
const blockBytesMost = 64 * 1024 * 1024

/** `000007-000002`: by whose epoch, and the how manyth of theirs. They sort by time. */
export function segmentName(epoch: bigint, sequence: number): string {
  return `${String(epoch).padStart(12, '0')}-${String(sequence).padStart(8, '0')}`
}

export class SegmentWriter {
  readonly name: string
  readonly path: string
  /** All that is on disk. */
  bytes = 0
  readonly #file: FileHandle
  readonly #key: Buffer
  #blocks = 0

  /** Durable with its head when it resolves. Rejects where there is a segment of that name. */
  static async create(folder: string, name: string, key: Buffer, head: SegmentHead): Promise<SegmentWriter> {
    const path = join(folder, `${name}.spool`)
    const file = await open(path, 'wx', 0o600)
    const salt = randomBytes(saltBytes)
    const segment = new SegmentWriter(name, path, file, keyOf(key, name, salt))
    try {
      await segment.#write(salt)
      await segment.append([{ position: head.position, data: headData(head) }])
      await syncFolder(folder)
    } catch (thrown) {
      await segment.close()
      throw thrown
    }
    return segment
  }

  private constructor(name: string, path: string, file: FileHandle, key: Buffer) {
    this.name = name
    this.path = path
    this.#file = file
    this.#key = key
  }

  /** Durable when it resolves; after a rejection nothing more may be appended. */
  async append(blocks: readonly SpoolBlock[]): Promise<void> {
    for (const block of blocks) await this.#write(sealed(block, this.#key, this.#blocks++))
    await this.#file.datasync()
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  async #write(data: Buffer): Promise<void> {
    for (let at = 0; at < data.length; ) {
      at += (await this.#file.write(data, at, data.length - at, this.bytes + at)).bytesWritten
    }
    this.bytes += data.length
  }
}

export class SegmentReader {
  readonly head: SegmentHead
  /** Where the next block begins. */
  at: number
  readonly #file: FileHandle
  readonly #key: Buffer
  #blocks = 1

  /** Undefined where not even the head can be read. */
  static async open(path: string, name: string, key: Buffer): Promise<SegmentReader | undefined> {
    const file = await open(path, 'r')
    const salt = Buffer.alloc(saltBytes)
    await file.read(salt, 0, saltBytes, 0)
    const own = keyOf(key, name, salt)
    const block = await readBlock(file, saltBytes, own, 0)
    if (block) return new SegmentReader(file, own, { at: block.end, head: parseHead(block) })
    await file.close()
    return undefined
  }

  private constructor(file: FileHandle, key: Buffer, { at, head }: { at: number; head: SegmentHead }) {
    this.#file = file
    this.#key = key
    this.at = at
    this.head = head
  }

  /** Undefined at the end, and at a block that is not whole or not as it was written. */
  async next(): Promise<SpoolBlock | undefined> {
    const block = await readBlock(this.#file, this.at, this.#key, this.#blocks)
    if (!block) return undefined
    this.at = block.end
    this.#blocks += 1
    return block
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}

/** So that the names of its files outlast a crash too. */
async function syncFolder(folder: string): Promise<void> {
  const file = await open(folder, 'r')
  await file.sync().finally(() => file.close())
}

function keyOf(key: Buffer, name: string, salt: Buffer): Buffer {
  return Buffer.from(hkdfSync('sha256', key, salt, `replatform spool ${name}`, keyBytes))
}

function sealed({ position, data }: SpoolBlock, key: Buffer, number: number): Buffer {
  const start = Buffer.alloc(positionBytes)
  start.writeBigUInt64BE(position)
  const body = sealBlock(Buffer.concat([start, data]), key, number)
  const length = Buffer.alloc(lengthBytes)
  length.writeUInt32BE(body.length)
  return Buffer.concat([length, body])
}

async function readBlock(
  file: FileHandle,
  at: number,
  key: Buffer,
  number: number,
): Promise<(SpoolBlock & { readonly end: number }) | undefined> {
  const length = Buffer.alloc(lengthBytes)
  if ((await file.read(length, 0, lengthBytes, at)).bytesRead < lengthBytes) return undefined
  const bytes = length.readUInt32BE(0)
  if (bytes < positionBytes + sealBytes || bytes > blockBytesMost) return undefined
  const body = Buffer.allocUnsafe(bytes)
  if ((await file.read(body, 0, bytes, at + lengthBytes)).bytesRead < bytes) return undefined
  try {
    const plain = unsealBlock(body, key, number)
    return {
      position: plain.readBigUInt64BE(0),
      data: plain.subarray(positionBytes),
      end: at + lengthBytes + bytes,
    }
  } catch {
    return undefined
  }
}

interface HeadDocument {
  readonly position: string
  readonly isContinued: boolean
  readonly after: SegmentHead['after']
  readonly relations: readonly string[]
}

function headData({ position, relations, ...rest }: SegmentHead): Buffer {
  const document: HeadDocument = {
    ...rest,
    position: formatLsn(position),
    relations: relations.map((relation) => relation.toString('base64')),
  }
  return Buffer.from(JSON.stringify(document))
}

function parseHead({ data }: SpoolBlock): SegmentHead {
  const { position, relations, ...rest } = JSON.parse(data.toString()) as HeadDocument
  return {
    ...rest,
    position: parseLsn(position),
    relations: relations.map((relation) => Buffer.from(relation, 'base64')),
  }
}
