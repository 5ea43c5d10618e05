import { ReplatformError, toReplatformError } from '@replatform/core/errors'
import { applicationName, openSession, type Session } from './session.ts'
import { type KeeperAnswer, type KeeperOptions, type KeptSnapshot, keeperRole } from './snapshot-keeper.ts'
import { ident, literal } from './sql.ts'

/** How long a move may have no other session on the source before its snapshot is given up. */
const abandonedAfterMs = 15 * 60_000

process.once('message', async (options: KeeperOptions) => {
  try {
    const keeper = await keep(options)
    answer({ kept: keeper.kept })
    await watch(keeper.session, options)
    process.exit(0)
  } catch (thrown) {
    answer({ error: toReplatformError(thrown).toJSON() })
    process.exit(1)
  }
})

function answer(message: KeeperAnswer): void {
  if (process.connected) process.send?.(message)
}

/** The replication connection's snapshot ends with its next command, so a plain transaction takes it over. */
async function keep(options: KeeperOptions): Promise<{ session: Session; kept: KeptSnapshot }> {
  const { endpoint, move, slot, tables } = options
  const replication = await openSession({ endpoint, side: 'source', move, role: 'slot', replication: true })
  const { rows } = await replication.query(
    `CREATE_REPLICATION_SLOT ${ident(slot.name)} ${slot.temporary ? 'TEMPORARY ' : ''}LOGICAL pgoutput EXPORT_SNAPSHOT`,
  )
  const { snapshot_name, consistent_point } = rows[0] as { snapshot_name: string; consistent_point: string }
  const session = await openSession({ endpoint, side: 'source', move, role: keeperRole })
  await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY')
  await session.query(`SET TRANSACTION SNAPSHOT ${literal(snapshot_name)}`)
  await session.query(`SET LOCAL lock_timeout = '30s'`)
  if (tables.length > 0) await session.query(`LOCK TABLE ${tables.join(', ')} IN ACCESS SHARE MODE`)
  const exported = await session.query('SELECT pg_export_snapshot() AS name')
  await replication.end()
  return { session, kept: { snapshot: (exported.rows[0] as { name: string }).name, position: consistent_point } }
}

async function watch(session: Session, { move }: KeeperOptions): Promise<void> {
  let seenAt = Date.now()
  const ended = new Promise<void>((resolve) => session.once('end', resolve))
  const look = setInterval(async () => {
    try {
      await session.query('SELECT pg_stat_clear_snapshot()')
      const { rows } = await session.query(
        `SELECT FROM pg_stat_activity WHERE application_name LIKE $1 AND pid <> pg_backend_pid()`,
        [applicationName(move, '%')],
      )
      if (rows.length > 0) seenAt = Date.now()
      if (Date.now() - seenAt > abandonedAfterMs) await session.end()
    } catch (thrown) {
      if (!(thrown instanceof ReplatformError)) await session.end().catch(() => {})
    }
  }, 20_000)
  await ended
  clearInterval(look)
}
