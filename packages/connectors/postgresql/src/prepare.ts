/** From two servers to a flow that can be loaded or followed. Every step looks first whether it was done before. */
import type { OpenOptions } from '@replatform/core/connector'
import { ReplatformError } from '@replatform/core/errors'
import { readTables } from './catalog.ts'
import { dropSlot, ensurePublication, ensureSlot, published } from './change-stream.ts'
import { ensureControlSchema } from './control-schema.ts'
import { requireSoundFilter } from './filter-crossing.ts'
import { createFlow, type FlowKey, raiseEpoch, readFlow, requireEpoch } from './flow-store.ts'
import { planInto, recordSnapshot } from './full-load.ts'
import { streamName } from './names.ts'
import { forgetSpool } from './open-spool.ts'
import { installCapture } from './schema-capture.ts'
import { transferPreData } from './schema-transfer.ts'
import type { Session } from './session.ts'
import { keepSnapshot, releaseSnapshot } from './snapshot-keeper.ts'
import { readSourceSystem, requireSameSystem } from './source-system.ts'

export interface PrepareOptions {
  readonly open: OpenOptions
  readonly key: FlowKey
  readonly source: Session
  readonly target: Session
  readonly fenceTarget: () => Promise<void>
}

/**
 * The change stream, the schema and the plan of the load, in that order of need: what was planned is read at the very
 * instant at which the stream begins. Returns the epoch that this process holds.
 */
export async function prepareLoad(options: PrepareOptions): Promise<bigint> {
  const { open, key, source, target } = options
  await createFlowOnEmptyTarget(options)
  const epoch = await raiseEpoch(target, key)
  const flow = await readFlow(target, key)
  if (flow?.snapshot) return epoch

  await releaseSnapshot(source, key.move)
  await dropSlot(source, key)
  await forgetSpool(target, key, open.spool)
  await noteDefinitions(options)
  const tables = published(await readTables(source))
  await ensurePublication(source, key, tables)
  const kept = await keepSnapshot({
    endpoint: open.source,
    move: key.move,
    slot: { name: streamName(key), temporary: false },
    tables: tables.map((table) => table.qualified),
  })
  // The schema as of the snapshot: what changes it later is in the stream.
  if ((await readTables(target)).length === 0) await transferPreData({ ...open, snapshot: kept.snapshot })
  await options.fenceTarget()
  await target.query('BEGIN')
  // Sizes are read again: a table may have grown until the snapshot was taken.
  await planInto(target, { key, workers: open.workers }, published(await readTables(source)))
  await recordSnapshot(target, { key, epoch }, kept.snapshot)
  const { rowCount } = await target.query(
    'UPDATE replatform.flow SET position = $3 WHERE move = $1 AND direction = $2 AND epoch = $4',
    [key.move, key.direction, kept.position, epoch],
  )
  requireEpoch(rowCount, key)
  await target.query('COMMIT')
  return epoch
}

/** A flow that loads nothing: its stream only, ahead of the moment from which it will be read. */
export async function prepareReturn(options: PrepareOptions): Promise<void> {
  const { key, source, target } = options
  await ensureControlSchema(source)
  await ensureControlSchema(target)
  await createFlow(target, key, await readSourceSystem(source))
  await noteDefinitions(options)
  await ensurePublication(source, key, published(await readTables(source)))
  await ensureSlot(source, key)
}

async function noteDefinitions({ open, source }: PrepareOptions): Promise<void> {
  if (await installCapture(source, { move: open.move, filter: open.source.tables })) return
  const { schemaChanges = 'stop', move, log } = open
  if (schemaChanges !== 'carry') {
    log.warn({ move }, 'schema changes are found only when rows arrive: the role may not create event triggers')
    return
  }
  throw new ReplatformError('auth.missing-rights', {
    message: 'Schema changes can only be carried by a role that may create event triggers on the source.',
    next: 'Use a superuser (on RDS a member of rds_superuser) on that side, or set schemaChanges to stop.',
  })
}

async function createFlowOnEmptyTarget({ open, key, source, target }: PrepareOptions): Promise<void> {
  const system = await readSourceSystem(source)
  const known = await readKnownFlow(target, key)
  if (known) {
    requireSameSystem(known, system)
    return
  }
  await requireSoundFilter(source, open.source.tables)
  const tables = await readTables(target)
  if (tables.length > 0) {
    throw new ReplatformError('target.not-empty', {
      message: `The target holds ${tables.length} tables that this move did not create, ${tables[0]?.label} among them.`,
    })
  }
  await ensureControlSchema(source)
  await ensureControlSchema(target)
  await createFlow(target, key, system)
}

async function readKnownFlow(target: Session, key: FlowKey): Promise<string | undefined> {
  const { rows } = await target.query(`SELECT to_regclass('replatform.flow') IS NOT NULL AS exists`)
  if ((rows[0] as { exists: string }).exists !== 't') return undefined
  return (await readFlow(target, key))?.sourceSystem
}
