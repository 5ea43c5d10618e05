import { tmpdir } from 'node:os'
import type { OpenOptions } from '@replatform/core/connector'
import { ReplatformError } from '@replatform/core/errors'
import { Applier, prepareApplySession } from './applier.ts'
import { readTables, type Table } from './catalog.ts'
import { readWalEnd } from './change-stream.ts'
import { type FlowKey, raiseEpoch, readFlow } from './flow-store.ts'
import { type FollowedTable, followTable } from './followed-table.ts'
import { Follower } from './follower.ts'
import { type Lsn, parseLsn } from './lsn.ts'
import { streamName } from './names.ts'
import { deleteSpool, openSpool } from './open-spool.ts'
import type { Relation } from './pgoutput.ts'
import { ReplicationStream, type StreamSink } from './replication-stream.ts'
import { closeSession, describe, openSession, type Session, withSession } from './session.ts'
import { SideSession } from './side-session.ts'
import { readSourceSystem, requireSameSystem } from './source-system.ts'
import type { SpooledStream } from './spooled-stream.ts'
import { isStreamHeard, takeSlot } from './take-slot.ts'
import { usualHopelessMs, usualPatienceMs } from './wedge-watch.ts'

/** A follower with the sessions that it writes and looks with. */
export interface FlowSession extends AsyncDisposable {
  readonly follower: Follower
  readonly epoch: bigint
}

export interface OpenFollower {
  readonly open: OpenOptions
  readonly key: FlowKey
  /** Where this process receives the stream into a spool already; it ends with the follower. */
  readonly spooled?: SpooledStream | null
  readonly patienceMs?: number
  readonly hopelessMs?: number
}

/** Takes the flow over (its epoch is raised) and makes ready to follow from its checkpoint. */
export async function openFollower(options: OpenFollower): Promise<FlowSession> {
  const { open, key, spooled, patienceMs = usualPatienceMs, hopelessMs = usualHopelessMs } = options
  const { move } = open
  const source = new SideSession({ endpoint: open.source, side: 'source', move, role: 'watch' })
  const lookout = new SideSession({ endpoint: open.target, side: 'target', move, role: 'watch' })
  const target = await openSession({ endpoint: open.target, side: 'target', move, role: 'apply', pipeline: true })
  const close = async () => {
    await Promise.all([source, lookout].map((side) => side[Symbol.asyncDispose]()))
    await closeSession(target)
  }
  try {
    await prepareApplySession(target)
    const epoch = await raiseEpoch(target, key)
    const flow = await readFlow(target, key)
    const from = flow?.position
    if (flow === undefined || from == null) throw unprepared(key)
    await source.use(async (session) => requireSameSystem(flow.sourceSystem, await readSourceSystem(session)))
    const confirmed = spooled ? from : await source.use((session) => takeSlot(session, key))
    const openStream = async (sink: StreamSink) => {
      const kept = spooled ?? (confirmed > from ? await openSpool({ open, key, epoch, from, confirmed, target }) : null)
      kept?.attach(sink)
      // All that may be left of it is on the target.
      if (!kept) await deleteSpool(open.spool, key)
      return kept ?? ReplicationStream.open({ endpoint: open.source, move, name: streamName(key), from, sink })
    }
    const { schemaChanges = 'stop', log } = open
    const applier = new Applier({ session: target, key, epoch, schemaChanges, log })
    applier.isTracking = flow.comparedAt !== null || flow.comparingAt !== null
    const tables = new TargetTables({ target, key, isLenient: schemaChanges === 'ignore' })
    await tables.refresh()
    const follower = new Follower({
      move,
      from,
      openStream,
      spillFolder: open.spool?.folder ?? tmpdir(),
      applier,
      resolveTable: (relation) => tables.resolve(relation),
      refreshTables: () => tables.refresh(),
      clockOffsetMs: await source.use(readClockOffset),
      readWalEnd: () => source.use(readWalEnd),
      source: {
        name: describe(open.source.url, 'source'),
        isHeard: (pid) => withSession({ endpoint: open.source, side: 'source', move, role: 'ask' }, isStreamHeard(pid)),
      },
      target: {
        name: describe(open.target.url, 'target'),
        isHeard: () => lookout.use(isBusy((target as unknown as { processID: number }).processID)),
      },
      patienceMs,
      hopelessMs,
    })
    return { follower, epoch, [Symbol.asyncDispose]: close }
  } catch (thrown) {
    await close()
    throw thrown
  }
}

/** A process that waits for its client has nothing left to answer. */
function isBusy(pid: number): (session: Session) => Promise<boolean> {
  return async (session) => {
    const { rowCount } = await session.query(
      `SELECT FROM pg_stat_activity WHERE pid = $1 AND state = 'active' AND wait_event_type IS DISTINCT FROM 'Client'`,
      [pid],
    )
    return rowCount === 1
  }
}

interface TargetTablesOptions {
  readonly target: Session
  readonly key: FlowKey
  /** What does not fit is left out instead of ending the stream. */
  readonly isLenient: boolean
}

/** The target's tables as the applier's session sees them, inside a transaction that changes them too. */
class TargetTables {
  readonly #options: TargetTablesOptions
  #tables = new Map<string, Table>()
  #starts = new Map<string, Lsn>()

  constructor(options: TargetTablesOptions) {
    this.#options = options
  }

  async refresh(): Promise<void> {
    const { target, key } = this.#options
    this.#tables = new Map((await readTables(target)).map((table) => [table.label, table]))
    this.#starts = await readTableStarts(target, key)
  }

  resolve(relation: Relation): FollowedTable | undefined {
    if (relation.schema === 'replatform') return undefined
    const label = `${relation.schema}.${relation.name}`
    const { isLenient } = this.#options
    return followTable(relation, {
      target: this.#tables.get(label),
      skipBefore: this.#starts.get(label) ?? 0n,
      isLenient,
    })
  }
}

async function readTableStarts(target: Session, key: FlowKey): Promise<Map<string, Lsn>> {
  const { rows } = await target.query('SELECT relation, position FROM replatform.table_start WHERE move = $1', [
    key.move,
  ])
  return new Map(
    (rows as { relation: string; position: string }[]).map((row) => [row.relation, parseLsn(row.position)]),
  )
}

/** Half of the way there and back is taken off. */
async function readClockOffset(source: Session): Promise<number> {
  const before = Date.now()
  const { rows } = await source.query(`SELECT round(extract(epoch FROM clock_timestamp()) * 1000) AS now`)
  const after = Date.now()
  return Math.round(Number((rows[0] as { now: string }).now) - (before + after) / 2)
}

function unprepared(key: FlowKey): ReplatformError {
  return new ReplatformError('state.transition-refused', {
    message: `The ${key.direction} flow of ${key.move} has no checkpoint on the target to follow from.`,
  })
}
