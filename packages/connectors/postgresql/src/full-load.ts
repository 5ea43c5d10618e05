/**
 * The full load: every chunk is one transaction on the target that holds the rows, the chunk's completion mark and the
 * check of the epoch, so a process that dies leaves either the whole chunk or nothing of it.
 */
import type { Chunk, Endpoint, Loaded, LoadGroup, Log } from '@replatform/core/connector'
import { invariant, ReplatformError } from '@replatform/core/errors'
import { readTables, type Table } from './catalog.ts'
import { readSlot, requireSlot } from './change-stream.ts'
import { copyStatements } from './chunk-copy.ts'
import { planChunks } from './chunk-plan.ts'
import { pipeCopy } from './copy-pipe.ts'
import { type FlowKey, readFlow, requireEpoch } from './flow-store.ts'
import { toPostgresqlError } from './postgresql-error.ts'
import { describe, openSession, type Session, withSession } from './session.ts'
import { isSnapshotAlive, type KeptSnapshot, keepSnapshot } from './snapshot-keeper.ts'
import { literal } from './sql.ts'

export interface FullLoadOptions {
  readonly key: FlowKey
  readonly source: Endpoint
  readonly target: Endpoint
  readonly epoch: bigint
  readonly workers: number
  readonly log: Log
}

interface PlannedChunk {
  readonly id: string
  readonly relation: string
  readonly firstBlock: number
  readonly endBlock: number
  readonly bytes: number
}

interface Pair {
  readonly source: Session
  readonly target: Session
}

export class FullLoad implements AsyncDisposable {
  readonly #options: FullLoadOptions
  readonly #idle: Pair[] = []
  readonly #all = new Set<Pair>()
  #tables = new Map<string, Table>()
  #planned = new Map<string, PlannedChunk>()
  #snapshot = ''
  #sourceMajor = 0

  constructor(options: FullLoadOptions) {
    this.#options = options
  }

  /** Finds the snapshot again or takes a new one, and says what there is to load. */
  async groups(): Promise<LoadGroup[]> {
    const { key, target } = this.#options
    await this.#readSource()
    await withSession({ endpoint: target, side: 'target', move: key.move, role: 'load' }, async (session) => {
      await this.#settleSnapshot(session)
      const { rows } = await session.query(
        `SELECT id, relation, first_block, end_block, bytes_estimate FROM replatform.chunk WHERE move = $1 AND NOT done`,
        [key.move],
      )
      this.#planned = new Map((rows as Record<string, string>[]).map((row) => [row.id as string, plannedChunk(row)]))
    })
    return this.#readGroups()
  }

  /** Largest tables first; `groups` must have been called. */
  async *chunks(): AsyncIterable<Chunk> {
    const size = (chunk: PlannedChunk) => this.#tables.get(chunk.relation)?.bytes ?? 0
    const chunks = [...this.#planned.values()].sort((a, b) => size(b) - size(a) || a.firstBlock - b.firstBlock)
    for (const { id, relation, bytes } of chunks) yield { id, group: relation, bytes }
  }

  async load(chunk: Chunk, signal: AbortSignal): Promise<Loaded> {
    const planned = this.#planned.get(chunk.id)
    const table = planned && this.#tables.get(planned.relation)
    invariant(planned && table, 'A chunk is loaded only after it was planned.')
    const pair = this.#idle.pop() ?? (await this.#openPair())
    try {
      // What is loaded is worth nothing without the changes that come after it.
      requireSlot(await readSlot(pair.source, this.#options.key), this.#options.key)
      const statements = copyStatements(table, planned, this.#sourceMajor)
      await pair.target.query('BEGIN')
      const loaded = await pipeCopy({ ...pair, ...statements, signal })
      await this.#markDone(pair.target, planned.id, loaded)
      await pair.target.query('COMMIT')
      this.#idle.push(pair)
      return loaded
    } catch (thrown) {
      await this.#discard(pair)
      throw toPostgresqlError(
        thrown,
        `${describe(this.#options.target.url, 'target')} or its source, at ${table.label}`,
      )
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const pair of this.#all) await this.#discard(pair)
  }

  /** The mark and the epoch are one statement: whoever lost the chunk or the epoch loads nothing. */
  async #markDone(target: Session, id: string, { rows, bytes }: Loaded): Promise<void> {
    const { key, epoch } = this.#options
    const { rowCount } = await target.query(
      `UPDATE replatform.chunk SET done = true, rows = $3, bytes = $4 WHERE move = $1 AND id = $2 AND NOT done
       AND EXISTS (SELECT FROM replatform.flow f WHERE f.move = $1 AND f.direction = $5 AND f.epoch = $6)`,
      [key.move, id, rows, bytes, key.direction, epoch],
    )
    requireEpoch(rowCount, key)
  }

  async #readSource(): Promise<void> {
    const { key, source } = this.#options
    await withSession({ endpoint: source, side: 'source', move: key.move, role: 'load' }, async (session) => {
      const { rows } = await session.query(`SELECT current_setting('server_version_num')::int / 10000 AS major`)
      this.#sourceMajor = Number((rows[0] as { major: string }).major)
      const tables = await readTables(session)
      this.#tables = new Map(tables.filter((table) => !table.isUnlogged).map((table) => [table.label, table]))
    })
  }

  /**
   * The snapshot of the flow is used for as long as its keeper lives. Afterwards finished tables stay as they are;
   * the others are emptied and loaded at a new snapshot, and the stream skips what that snapshot holds of them.
   */
  async #settleSnapshot(target: Session): Promise<void> {
    const { key, log } = this.#options
    const flow = await readFlow(target, key)
    invariant(flow, 'A flow must be prepared before it is loaded.')
    if (flow.snapshot && (await this.#isAlive(flow.snapshot))) {
      this.#snapshot = flow.snapshot
      return
    }
    log.warn({ move: key.move }, 'the snapshot of the full load is gone: unfinished tables are loaded at a new one')
    const kept = await this.#keepFresh()
    // Making the slot may have waited while tables grew: blocks count from after the snapshot.
    await this.#readSource()
    await target.query('BEGIN')
    const { rows } = await target.query(
      `DELETE FROM replatform.chunk WHERE move = $1 AND relation IN
         (SELECT relation FROM replatform.chunk WHERE move = $1 AND NOT done) RETURNING relation`,
      [key.move],
    )
    const unfinished = [...new Set((rows as { relation: string }[]).map((row) => row.relation))]
    const tables = unfinished.flatMap((label) => this.#tables.get(label) ?? [])
    if (tables.length > 0) await target.query(`TRUNCATE ${tables.map((table) => table.qualified).join(', ')}`)
    for (const table of tables) {
      await target.query(
        `INSERT INTO replatform.table_start VALUES ($1, $2, $3)
         ON CONFLICT (move, relation) DO UPDATE SET position = excluded.position`,
        [key.move, table.label, kept.position],
      )
    }
    await planInto(target, this.#options, tables)
    await recordSnapshot(target, this.#options, kept.snapshot)
    await target.query('COMMIT')
    this.#snapshot = kept.snapshot
  }

  async #keepFresh(): Promise<KeptSnapshot> {
    const { key, source } = this.#options
    const tables = [...this.#tables.values()].map((table) => table.qualified)
    const name = `replatform_load_${process.pid}_${Date.now()}`
    return keepSnapshot({ endpoint: source, move: key.move, slot: { name, temporary: true }, tables })
  }

  async #isAlive(snapshot: string): Promise<boolean> {
    const { key, source } = this.#options
    return withSession({ endpoint: source, side: 'source', move: key.move, role: 'load' }, (session) =>
      isSnapshotAlive(session, key.move, snapshot),
    )
  }

  async #openPair(): Promise<Pair> {
    const { key } = this.#options
    const source = await openSession({ endpoint: this.#options.source, side: 'source', move: key.move, role: 'load' })
    try {
      await source.query('BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY')
      await source.query(`SET LOCAL row_security = off`)
      await source.query(`SET TRANSACTION SNAPSHOT ${literal(this.#snapshot)}`)
    } catch (thrown) {
      await source.end().catch(() => {})
      throw snapshotLost(thrown)
    }
    const target = await openSession({
      endpoint: this.#options.target,
      side: 'target',
      move: key.move,
      role: 'load',
    }).catch(async (thrown) => {
      await source.end().catch(() => {})
      throw thrown
    })
    // A chunk and its mark are lost together or not at all, so nobody needs to wait for the disk here.
    await target.query('SET session_replication_role = replica; SET synchronous_commit = off')
    const pair = { source, target }
    this.#all.add(pair)
    return pair
  }

  async #discard(pair: Pair): Promise<void> {
    this.#all.delete(pair)
    const sessions = [pair.source, pair.target]
    for (const session of sessions)
      (session as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy()
    await Promise.allSettled(sessions.map((session) => session.end()))
  }

  async #readGroups(): Promise<LoadGroup[]> {
    const { key, target } = this.#options
    const sql = `SELECT relation, count(*) AS chunks, sum(bytes_estimate) AS bytes, count(*) FILTER (WHERE done) AS done_chunks,
        coalesce(sum(rows), 0) AS done_rows, coalesce(sum(bytes), 0) AS done_bytes
      FROM replatform.chunk WHERE move = $1 GROUP BY relation ORDER BY 3 DESC, 1`
    return withSession({ endpoint: target, side: 'target', move: key.move, role: 'load' }, async (session) => {
      const { rows } = await session.query(sql, [key.move])
      return (rows as Record<string, string>[]).map((row) => ({
        name: row.relation as string,
        rows: this.#tables.get(row.relation as string)?.rows ?? 0,
        bytes: Number(row.bytes),
        chunks: Number(row.chunks),
        done: { chunks: Number(row.done_chunks), rows: Number(row.done_rows), bytes: Number(row.done_bytes) },
      }))
    })
  }
}

/** Writes the plan of the tables into the target. Inside the caller's transaction. */
export async function planInto(
  target: Session,
  { key, workers }: Pick<FullLoadOptions, 'key' | 'workers'>,
  tables: readonly Table[],
): Promise<void> {
  const plan = planChunks(tables, workers)
  await target.query(
    `INSERT INTO replatform.chunk (move, id, relation, first_block, end_block, bytes_estimate)
     SELECT $1, * FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[])`,
    [
      key.move,
      plan.map(({ id }) => id),
      plan.map(({ table }) => table.label),
      plan.map(({ firstBlock }) => firstBlock),
      plan.map(({ endBlock }) => endBlock),
      plan.map(({ bytes }) => bytes),
    ],
  )
}

/** Inside the caller's transaction. */
export async function recordSnapshot(
  target: Session,
  { key, epoch }: Pick<FullLoadOptions, 'key' | 'epoch'>,
  snapshot: string,
): Promise<void> {
  const { rowCount } = await target.query(
    `UPDATE replatform.flow SET snapshot = $3 WHERE move = $1 AND direction = $2 AND epoch = $4`,
    [key.move, key.direction, snapshot, epoch],
  )
  requireEpoch(rowCount, key)
}

function plannedChunk(row: Record<string, string>): PlannedChunk {
  return {
    id: row.id as string,
    relation: row.relation as string,
    firstBlock: Number(row.first_block),
    endBlock: Number(row.end_block),
    bytes: Number(row.bytes_estimate),
  }
}

function snapshotLost(cause: unknown): ReplatformError {
  return new ReplatformError('postgresql.snapshot-lost', {
    message: 'The snapshot of the full load cannot be used any more.',
    cause,
  })
}
