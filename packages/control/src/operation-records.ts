import { ReplatformError, type SerializedError } from '@replatform/core/errors'
import type { OperationResult, OperationVerb, StepStatus } from './api-types.ts'
import type { ControlDatabase } from './control-database.ts'

/** What somebody asked for. Its steps stand in the journal; `plan` is what it set out to do. */
export interface OperationRecord {
  readonly id: string
  readonly verb: OperationVerb
  readonly move: string
  readonly state: 'running' | 'done' | 'failed'
  readonly actor: string
  readonly plan: readonly StepStatus[]
  readonly result: OperationResult | null
  readonly error: SerializedError | null
  readonly startedAt: string
  readonly finishedAt: string | null
}

export interface NewOperation {
  readonly id: string
  readonly verb: OperationVerb
  readonly move: string
  readonly state: 'running' | 'done'
  /** At most one running operation of a move is exclusive. */
  readonly exclusive: boolean
  readonly actor: string
  readonly reason: string | null
  readonly plan: readonly StepStatus[]
  readonly startedAt: string
}

interface Row {
  id: string
  verb: OperationVerb
  move: string
  state: OperationRecord['state']
  actor: string
  plan: readonly StepStatus[]
  result: OperationResult | null
  error: SerializedError | null
  started: Date
  finished: Date | null
}

const columns = 'id, verb, move, state, actor, plan, result, error, started, finished'

export class OperationRecords {
  readonly #database: ControlDatabase
  readonly #estate: string

  constructor(database: ControlDatabase, estate: string) {
    this.#database = database
    this.#estate = estate
  }

  /** Throws `operation.running` when both this one and a running one are exclusive. */
  async add(operation: NewOperation): Promise<OperationRecord> {
    const { id, move, verb, exclusive, state, actor, reason, plan, startedAt } = operation
    const [row] = await this.#database.query<Row>(
      `INSERT INTO replatform_control.operation
         (id, estate, move, verb, exclusive, state, actor, reason, plan, started, finished)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb, $10, $11)
       ON CONFLICT (estate, move) WHERE state = 'running' AND exclusive DO NOTHING RETURNING ${columns}`,
      [
        id,
        this.#estate,
        move,
        verb,
        exclusive,
        state,
        actor,
        reason,
        JSON.stringify(plan),
        startedAt,
        state === 'done' ? startedAt : null,
      ],
    )
    if (row) return toRecord(row)
    const running = (await this.running(move)).map((other) => other.verb).join(', ')
    throw new ReplatformError('operation.running', { message: `${move}: ${running || 'an operation'} still runs.` })
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

  async running(move: string): Promise<OperationRecord[]> {
    const rows = await this.#database.query<Row>(
      `SELECT ${columns} FROM replatform_control.operation
       WHERE estate = $1 AND move = $2 AND state = 'running' ORDER BY started`,
      [this.#estate, move],
    )
    return rows.map(toRecord)
  }

  /** Ends it; the first end stands. Returns whether this was the first. */
  async finish(id: string, end: { result: OperationResult | null; error: SerializedError | null; at: string }) {
    const rows = await this.#database.query(
      `UPDATE replatform_control.operation SET state = $2, result = $3::jsonb, error = $4::jsonb, finished = $5
       WHERE id = $1 AND state = 'running' RETURNING id`,
      [id, end.error === null ? 'done' : 'failed', json(end.result), json(end.error), end.at],
    )
    return rows.length > 0
  }
}

function json(value: unknown): string | null {
  return value === null ? null : JSON.stringify(value)
}

function toRecord(row: Row): OperationRecord {
  const { id, verb, move, state, actor, plan, result, error } = row
  const startedAt = row.started.toISOString()
  return {
    id,
    verb,
    move,
    state,
    actor,
    plan,
    result,
    error,
    startedAt,
    finishedAt: row.finished?.toISOString() ?? null,
  }
}
