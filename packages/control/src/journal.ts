import type { ErrorCode } from '@replatform/core/error-catalogue'
import type { StepStatus } from './api-types.ts'
import type { ControlDatabase } from './control-database.ts'

/** One step that was taken, as it is kept for people to read. Nothing is decided by it. */
export interface JournalEntry {
  readonly id: number
  readonly move: string
  readonly operation: string | null
  readonly step: string
  readonly description: string
  readonly state: 'running' | 'done' | 'failed'
  readonly startedAt: string
  readonly ms: number | null
  readonly errorCode: ErrorCode | null
}

export interface JournalStep {
  readonly move: string
  readonly operation: string | null
  readonly name: string
  readonly description: string
}

interface Row {
  id: string | number
  move: string
  operation: string | null
  step: string
  description: string
  state: JournalEntry['state']
  started: Date
  ms: number | null
  error_code: ErrorCode | null
}

const columns = 'id, move, operation, step, description, state, started, ms, error_code'

export class Journal {
  readonly #database: ControlDatabase
  readonly #estate: string

  constructor(database: ControlDatabase, estate: string) {
    this.#database = database
    this.#estate = estate
  }

  /** Returns the id to finish it by. */
  async started(step: JournalStep, startedAt: string): Promise<number> {
    return this.#add(step, 'running', startedAt, null)
  }

  async finished(id: number, ms: number, errorCode: ErrorCode | null): Promise<void> {
    await this.#database.query(
      'UPDATE replatform_control.journal SET state = $2, ms = $3, error_code = $4 WHERE id = $1',
      [id, errorCode === null ? 'done' : 'failed', tenths(ms), errorCode],
    )
  }

  /** Something that has no duration, such as a change of state. */
  async noted(step: JournalStep, at: string): Promise<void> {
    await this.#add(step, 'done', at, 0)
  }

  /** The newest entries of a move, oldest first. */
  async ofMove(move: string, limit = 200): Promise<JournalEntry[]> {
    const rows = await this.#database.query<Row>(
      `SELECT ${columns} FROM replatform_control.journal WHERE estate = $1 AND move = $2 ORDER BY id DESC LIMIT $3`,
      [this.#estate, move, limit],
    )
    return rows.reverse().map(toEntry)
  }

  async ofOperation(operation: string): Promise<JournalEntry[]> {
    const rows = await this.#database.query<Row>(
      `SELECT ${columns} FROM replatform_control.journal WHERE operation = $1 ORDER BY id`,
      [operation],
    )
    return rows.map(toEntry)
  }

  async #add(step: JournalStep, state: string, startedAt: string, ms: number | null): Promise<number> {
    const [row] = await this.#database.query<{ id: string | number }>(
      `INSERT INTO replatform_control.journal (estate, move, operation, step, description, state, started, ms)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id`,
      [this.#estate, step.move, step.operation, step.name, step.description, state, startedAt, ms],
    )
    return Number(row?.id)
  }
}

/** What was planned, filled with what the journal knows; steps outside the plan (an abort's) follow in their order. */
export function stepsTaken(
  plan: readonly StepStatus[],
  entries: readonly JournalEntry[],
  ended: boolean,
): StepStatus[] {
  const taken = new Map(entries.map((entry) => [entry.step, toStep(entry)]))
  const planned = plan.map((step) => taken.get(step.name) ?? (ended ? { ...step, state: 'skipped' as const } : step))
  const names = new Set(plan.map((step) => step.name))
  return [...planned, ...[...taken.values()].filter((step) => !names.has(step.name))]
}

/** Enough for people, and bearable under `--json`. */
function tenths(ms: number): number {
  return Math.round(ms * 10) / 10
}

function toStep({ step, description, state, startedAt, ms }: JournalEntry): StepStatus {
  return { name: step, description, state, startedAt, ms }
}

function toEntry(row: Row): JournalEntry {
  const { move, operation, step, description, state, ms } = row
  const startedAt = row.started.toISOString()
  return { id: Number(row.id), move, operation, step, description, state, startedAt, ms, errorCode: row.error_code }
}
