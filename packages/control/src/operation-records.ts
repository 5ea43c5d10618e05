import { ReplatformError, type SerializedError } from '@replatform/core/errors'
import type { OperationResult, OperationVerb, StepStatus } from './api-types.ts'
import type { ControlDatabase, Sql } from './control-database.ts'
import type { OperationSubject } from './operation-subject.ts'

/** What somebody asked for. Its steps stand in the journal; `plan` is what it set out to do. */
export interface OperationRecord extends OperationSubject {
  readonly id: string
  readonly verb: OperationVerb
  readonly state: 'running' | 'done' | 'failed'
  readonly actor: string
  readonly reason: string | null
  /** Whether gates that do not hold are passed. */
  readonly override: boolean
  readonly plan: readonly StepStatus[]
  readonly result: OperationResult | null
  readonly error: SerializedError | null
  readonly startedAt: string
  readonly finishedAt: string | null
}

export interface NewOperation extends OperationSubject {
  readonly id: string
  readonly verb: OperationVerb
  readonly state: 'running' | 'done'
  /** Moves that no other operation may claim while this one runs. */
  readonly claims: readonly string[]
  readonly actor: string
  readonly reason: string | null
  readonly override: boolean
  readonly plan: readonly StepStatus[]
  readonly startedAt: string
}

interface Row {
  id: string
  verb: OperationVerb
  move: string | null
  wave: string | null
  state: OperationRecord['state']
  actor: string
  reason: string | null
  override: boolean
  plan: readonly StepStatus[]
  result: OperationResult | null
  error: SerializedError | null
  started: Date
  finished: Date | null
}

const columns = 'id, verb, move, wave, state, actor, reason, override, plan, result, error, started, finished'

export class OperationRecords {
  readonly #database: ControlDatabase
  readonly #estate: string

  constructor(database: ControlDatabase, estate: string) {
    this.#database = database
    this.#estate = estate
  }

  /** Throws `operation.running` when another one has claimed a move. */
  async add(operation: NewOperation): Promise<OperationRecord> {
    const { id, move, wave, verb, claims, state, actor, reason, override, plan, startedAt } = operation
    return this.#database.transaction(async (sql) => {
      const [row] = await sql.query<Row>(
        `INSERT INTO replatform_control.operation
           (id, estate, move, wave, verb, exclusive, state, actor, reason, override, plan, started, finished)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::jsonb, $12, $13) RETURNING ${columns}`,
        [
          id,
          this.#estate,
          move,
          wave,
          verb,
          claims.length > 0,
          state,
          actor,
          reason,
          override,
          JSON.stringify(plan),
          startedAt,
          state === 'done' ? startedAt : null,
        ],
      )
      // In one order, so that two that claim the same moves do not wait for each other.
      for (const claimed of claims.toSorted()) await this.#claim(claimed, id, sql)
      return toRecord(row as Row)
    })
  }

  async #claim(move: string, operation: string, sql: Sql): Promise<void> {
    const claimed = await sql.query(
      `INSERT INTO replatform_control.operation_claim (estate, move, operation) VALUES ($1, $2, $3)
       ON CONFLICT DO NOTHING RETURNING move`,
      [this.#estate, move, operation],
    )
    if (claimed.length > 0) return
    const [other] = await sql.query<{ verb: string }>(
      `SELECT o.verb FROM replatform_control.operation_claim c JOIN replatform_control.operation o ON o.id = c.operation
       WHERE c.estate = $1 AND c.move = $2`,
      [this.#estate, move],
    )
    throw new ReplatformError('operation.running', { message: `${move}: ${other?.verb ?? 'an operation'} still runs.` })
  }

  /** Throws `operation.unknown`. */
  async get(id: string): Promise<OperationRecord> {
    const [row] = await this.#database.query<Row>(
      `SELECT ${columns} FROM replatform_control.operation WHERE id = $1 AND estate = $2`,
      [id, this.#estate],
    )
    if (row) return toRecord(row)
    throw new ReplatformError('operation.unknown', { message: `There is no operation ${id}.` })
  }

  /** What was asked of the wave and of its moves, dry runs included, oldest first. */
  async ofWave(wave: string, moves: readonly string[], limit = 200): Promise<OperationRecord[]> {
    const rows = await this.#database.query<Row>(
      `SELECT ${columns} FROM replatform_control.operation
       WHERE estate = $1 AND (wave = $2 OR move = ANY ($3)) ORDER BY started DESC LIMIT $4`,
      [this.#estate, wave, moves, limit],
    )
    return rows.reverse().map(toRecord)
  }

  async running({ move, wave }: OperationSubject): Promise<OperationRecord[]> {
    const rows = await this.#database.query<Row>(
      `SELECT ${columns} FROM replatform_control.operation
       WHERE estate = $1 AND move IS NOT DISTINCT FROM $2 AND wave IS NOT DISTINCT FROM $3 AND state = 'running'
       ORDER BY started`,
      [this.#estate, move, wave],
    )
    return rows.map(toRecord)
  }

  /** Ends it; the first end stands. Returns whether this was the first. */
  async finish(id: string, end: { result: OperationResult | null; error: SerializedError | null; at: string }) {
    return this.#database.transaction(async (sql) => {
      const rows = await sql.query(
        `UPDATE replatform_control.operation SET state = $2, result = $3::jsonb, error = $4::jsonb, finished = $5
         WHERE id = $1 AND state = 'running' RETURNING id`,
        [id, end.error === null ? 'done' : 'failed', json(end.result), json(end.error), end.at],
      )
      await sql.query('DELETE FROM replatform_control.operation_claim WHERE operation = $1', [id])
      return rows.length > 0
    })
  }
}

function json(value: unknown): string | null {
  return value === null ? null : JSON.stringify(value)
}

function toRecord(row: Row): OperationRecord {
  const { id, verb, move, wave, state, actor, reason, override, plan, result, error } = row
  const startedAt = row.started.toISOString()
  return {
    id,
    verb,
    move,
    wave,
    state,
    actor,
    reason,
    override,
    plan,
    result,
    error,
    startedAt,
    finishedAt: row.finished?.toISOString() ?? null,
  }
}
