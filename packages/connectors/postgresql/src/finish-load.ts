/** What waits until the rows are there: indexes, constraints, triggers, statistics. Can begin again at any point. */
import type { OpenOptions } from '@replatform/core/connector'
import { readTables } from './catalog.ts'
import type { FlowKey } from './flow-store.ts'
import { type Lsn, parseLsn } from './lsn.ts'
import { withPostData } from './schema-transfer.ts'
import { type Session, withSession } from './session.ts'

export interface FinishLoadOptions {
  readonly open: OpenOptions
  readonly key: FlowKey
  readonly target: Session
  /** The snapshot of the load, while it lasts: later indexes and constraints are in the change stream. */
  readonly snapshot?: string | undefined
  /** Called once nothing is read at the snapshot any more. */
  readonly release?: () => Promise<void>
  /** Follows until everything before the position is on the target. */
  readonly followUpTo: (position: Lsn) => Promise<void>
  readonly report: (step: string) => void
}

/**
 * Tables that were loaded at a later snapshot than the others agree with them only once the stream has reached it; so
 * foreign keys wait for that.
 */
export async function finishLoad(options: FinishLoadOptions): Promise<void> {
  const { open, key, target, snapshot, release = async () => {}, followUpTo, report } = options
  await withPostData({ ...open, snapshot, session: target, onRead: release }, async (postData) => {
    report('building indexes and constraints')
    await postData.restoreIndexes()
    const latest = await latestTableStart(target, key)
    if (latest !== null) {
      report('catching up with tables that were loaded again')
      await followUpTo(latest)
    }
    report('checking foreign keys')
    await postData.restoreForeignKeys()
  })
  report('gathering statistics')
  await analyze(open, target)
  await target.query('UPDATE replatform.flow SET load_finished = true WHERE move = $1 AND direction = $2', [
    key.move,
    key.direction,
  ])
}

async function latestTableStart(target: Session, key: FlowKey): Promise<Lsn | null> {
  const { rows } = await target.query('SELECT max(position) AS latest FROM replatform.table_start WHERE move = $1', [
    key.move,
  ])
  const { latest } = rows[0] as { latest: string | null }
  return latest === null ? null : parseLsn(latest)
}

/** Without statistics the first queries after a cutover choose the wrong plans, for hours. */
async function analyze(open: OpenOptions, target: Session): Promise<void> {
  const tables = (await readTables(target)).map((table) => table.qualified)
  const endpoint = open.target
  const work = () =>
    withSession({ endpoint, side: 'target', move: open.move, role: 'analyze' }, async (session) => {
      for (let table = tables.shift(); table; table = tables.shift()) await session.query(`ANALYZE ${table}`)
    })
  await Promise.all(Array.from({ length: Math.min(open.workers, tables.length) }, work))
}
