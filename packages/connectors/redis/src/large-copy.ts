/**
 * Copies a value that is too large to be held, piece by piece, beside the key and then over it, so that the target has
 * the old value or the new one. Writes on the source meanwhile may be in the copy or not: they make the key come again.
 */
import { ReplatformError } from '@replatform/core/errors'
import type { BatchWriter } from './batch-writer.ts'
import type { Argument } from './command-buffer.ts'
import type { Connection } from './connection.ts'
import { readDeadline } from './key-look.ts'
import { keySlot, tagOf } from './key-slot.ts'
import { streamPieces } from './stream-copy.ts'

export interface LargeCopyOptions {
  /** Has the database selected. */
  readonly source: Connection
  readonly writer: BatchWriter
  readonly db: number
  readonly key: Buffer
  readonly hasDeadlines: boolean
}

const pieceBytes = 1 << 20
const elementsAtOnce = 500

/** Resolves with the bytes that were written. */
export async function copyLarge(options: LargeCopyOptions): Promise<number> {
  const { source, writer, db, key, hasDeadlines } = options
  // No key of our own: what a crash leaves of it is extra, and goes when everything is looked at. In a cluster it lies
  // on the server of the key.
  const beside = Buffer.concat([Buffer.from(`replatform-copying:{${tagOf(keySlot(key))}}:`), key])
  const buffer = writer.createBuffer(2 * pieceBytes)
  const write = async (...commands: Argument[][]): Promise<number> => {
    buffer.clear()
    buffer.add(['SELECT', db])
    for (const command of commands) buffer.add(command)
    const bytes = buffer.length
    await writer.commit(buffer)
    return bytes
  }
  let bytes = await write(['UNLINK', beside])
  let isThere = false
  for await (const piece of piecesOf(source, key, beside)) {
    bytes += await write(...piece)
    isThere = true
  }
  if (!isThere) return bytes + (await write(['UNLINK', key]))
  const deadlineMs = await readDeadline(source, key, hasDeadlines)
  const deadline: Argument[][] = deadlineMs === null ? [] : [['PEXPIREAT', key, deadlineMs]]
  return bytes + (await write(['RENAME', beside, key], ...deadline))
}

async function* piecesOf(source: Connection, key: Buffer, to: Buffer): AsyncGenerator<Argument[][]> {
  const type = String(await source.command('TYPE', key))
  switch (type) {
    case 'none':
      return
    case 'string':
      return yield* ranges(async (at) => {
        const piece = (await source.command('GETRANGE', key, at, at + pieceBytes - 1)) as Buffer
        return { length: piece.length, commands: [['APPEND', to, piece]] }
      })
    case 'list':
      return yield* ranges(async (at) => {
        const items = (await source.command('LRANGE', key, at, at + elementsAtOnce - 1)) as Buffer[]
        return { length: items.length, commands: [['RPUSH', to, ...items]] }
      })
    case 'set':
      return yield* pages(source, ['SSCAN', key], (page) => ['SADD', to, ...page])
    case 'hash':
      return yield* pages(source, ['HSCAN', key], (page) => ['HSET', to, ...page])
    case 'zset':
      return yield* pages(source, ['ZSCAN', key], (page) => ['ZADD', to, ...scoresFirst(page)])
    case 'stream':
      return yield* streamPieces(source, key, to)
    default:
      throw new ReplatformError('redis.module-value', { message: 'A key of the source holds a value of a module.' })
  }
}

type Piece = { readonly length: number; readonly commands: Argument[][] }

async function* ranges(read: (at: number) => Promise<Piece>): AsyncGenerator<Argument[][]> {
  for (let at = 0; ; ) {
    const { length, commands } = await read(at)
    if (length === 0) return
    yield commands
    at += length
  }
}

/** An element may come twice, which changes nothing. */
async function* pages(
  source: Connection,
  [verb, key]: [string, Buffer],
  command: (page: readonly Buffer[]) => Argument[],
): AsyncGenerator<Argument[][]> {
  let cursor = '0'
  do {
    const [next, page] = (await source.command(verb, key, cursor, 'COUNT', elementsAtOnce)) as [Buffer, Buffer[]]
    cursor = String(next)
    if (page.length > 0) yield [command(page)]
  } while (cursor !== '0')
}

function scoresFirst(page: readonly Buffer[]): Buffer[] {
  return page.flatMap((_, index) => (index % 2 === 0 ? [page[index + 1] as Buffer, page[index] as Buffer] : []))
}
