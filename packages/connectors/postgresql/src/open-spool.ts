/** The spool of a flow: its key stands on the target, beside the checkpoint, and its files in a folder of the estate's. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { OpenOptions } from '@replatform/core/connector'
import { invariant, ReplatformError } from '@replatform/core/errors'
import { type FlowKey, readFlow } from './flow-store.ts'
import { formatLsn, type Lsn } from './lsn.ts'
import { streamName } from './names.ts'
import { describe, type Session, withSession } from './session.ts'
import { spoolLost } from './spool-chain.ts'
import { SpooledStream } from './spooled-stream.ts'
import { isStreamHeard, takeSlot } from './take-slot.ts'
import { usualPatienceMs } from './wedge-watch.ts'

interface Flow {
  readonly open: OpenOptions
  readonly key: FlowKey
  readonly epoch: bigint
}

/**
 * Receives the stream from now on, where the estate gives the move a spool; null where it does not. Takes the slot from
 * whoever reads it.
 */
export async function beginSpool({ open, key, epoch }: Flow): Promise<SpooledStream | null> {
  if (!open.spool) return null
  const { move } = open
  return withSession({ endpoint: open.target, side: 'target', move, role: 'spool' }, async (target) => {
    const from = (await readFlow(target, key))?.position
    invariant(from, 'A flow must be prepared before its stream is received.')
    const source = { endpoint: open.source, side: 'source', move, role: 'spool' } as const
    const confirmed = await withSession(source, (session) => takeSlot(session, key))
    return openSpool({ open, key, epoch, from, confirmed, target })
  })
}

export interface OpenSpool extends Flow {
  readonly target: Session
  /** The checkpoint on the target. */
  readonly from: Lsn
  /** What the source was told last; the slot is free. */
  readonly confirmed: Lsn
}

/** Throws `postgresql.spool-lost`, and `postgresql.target-went-back` where there never was a spool. */
export async function openSpool({ open, key, epoch, from, confirmed, target }: OpenSpool): Promise<SpooledStream> {
  const { move, spool } = open
  if (confirmed > from) await requireSpool(target, key, { from, confirmed })
  if (!spool) throw spoolLost('the estate does not say any more where it is')
  const session = { endpoint: open.source, side: 'source', move, role: 'ask' } as const
  return SpooledStream.open({
    stream: { endpoint: open.source, move, name: streamName(key) },
    spool: { folder: folderOf(spool, key), key: await makeKey(target, key), epoch, from, confirmed },
    source: {
      name: describe(open.source.url, 'source'),
      isHeard: (pid) => withSession(session, isStreamHeard(pid)),
    },
    patienceMs: usualPatienceMs,
  })
}

/** Nothing of a flow that begins anew, or ends, may be found again. Idempotent. */
export async function forgetSpool(target: Session, key: FlowKey, spool: OpenOptions['spool']): Promise<void> {
  await target.query('DELETE FROM replatform.spool WHERE move = $1 AND direction = $2', [key.move, key.direction])
  await deleteSpool(spool, key)
}

/** Its files alone. */
export async function deleteSpool(spool: OpenOptions['spool'], key: FlowKey): Promise<void> {
  if (spool) await rm(folderOf(spool, key), { recursive: true, force: true })
}

function folderOf({ folder }: NonNullable<OpenOptions['spool']>, { move, direction }: FlowKey): string {
  return join(folder, `${move}-${direction}`)
}

/** Made by the server, so that it stands in no statement and in no log of it. */
async function makeKey(target: Session, { move, direction }: FlowKey): Promise<Buffer> {
  await target.query(
    `INSERT INTO replatform.spool (move, direction, key)
     VALUES ($1, $2, sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())))
     ON CONFLICT DO NOTHING`,
    [move, direction],
  )
  const { rows } = await target.query(
    `SELECT encode(key, 'base64') AS key FROM replatform.spool WHERE move = $1 AND direction = $2`,
    [move, direction],
  )
  return Buffer.from((rows[0] as { key: string }).key, 'base64')
}

/** A target that was restored, or that lost what it had committed, lacks changes that the source no longer has. */
async function requireSpool(target: Session, key: FlowKey, { from, confirmed }: { from: Lsn; confirmed: Lsn }) {
  const { rowCount } = await target.query('SELECT FROM replatform.spool WHERE move = $1 AND direction = $2', [
    key.move,
    key.direction,
  ])
  if (rowCount === 1) return
  throw new ReplatformError('postgresql.target-went-back', {
    message: `The target stands at ${formatLsn(from)}, the source was told ${formatLsn(confirmed)}.`,
  })
}
