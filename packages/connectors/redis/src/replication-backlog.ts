/** The source's own memory of its replication stream, which it has only while somebody replicates, and an hour after. */
import { ReplatformError } from '@replatform/core/errors'
import { CommandBuffer } from './command-buffer.ts'
import type { Connection } from './connection.ts'
import type { ControlKeys } from './control-keys.ts'
import { raiseEpoch, writeCheckpoint } from './flow-store.ts'
import type { OpenStream } from './full-load.ts'
import { ReplicaLink } from './psync.ts'
import { readInfo } from './server-info.ts'

/**
 * Makes sure that what the source writes from now on can be asked for later. A source keeps no backlog before its first
 * replica: one is begun, and given up as soon as the source has answered it.
 */
export async function ensureBacklog(source: Connection, url: string): Promise<void> {
  const fields = await readInfo(source, 'replication')
  if (fields.get('repl_backlog_active') === '1') return
  const link = await ReplicaLink.open({ url, after: null })
  await link[Symbol.asyncDispose]()
}

export interface BeginAgainOptions {
  readonly source: Connection
  readonly sourceUrl: string
  readonly target: Connection
  readonly keys: ControlKeys
}

/**
 * Both sides are fenced and equal: records on the target that the flow begins where the source stands now, and opens
 * the stream from there, so that the source's backlog need not last until somebody follows.
 */
export async function beginAgain({ source, sourceUrl, target, keys }: BeginAgainOptions): Promise<OpenStream> {
  await raiseEpoch(target, keys)
  const fields = await readInfo(source, 'replication')
  const point = { replid: fields.get('master_replid') ?? '', offset: Number(fields.get('master_repl_offset')) }
  const checkpoint = { point, db: 0, isLowered: true, broken: null }
  const link = await ReplicaLink.open({ url: sourceUrl, after: point })
  if (link.snapshot) {
    await link[Symbol.asyncDispose]()
    throw new ReplatformError('redis.resync-required', { message: 'The source keeps no backlog to follow from.' })
  }
  const buffer = new CommandBuffer(512)
  buffer.add(['DEL', keys.checkpoint])
  writeCheckpoint(buffer, keys, checkpoint)
  await target.exchange(buffer.view, buffer.commands)
  return { link, first: null, checkpoint }
}
