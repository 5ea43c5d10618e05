import type { CompareReport } from '@replatform/core/difference'
import { ReplatformError, type SerializedError } from '@replatform/core/errors'
import { assertTransition, type MoveState } from '@replatform/core/move'
import type { Limits } from '@replatform/engine/strain-watch'
import type { ControlDatabase, Sql } from './control-database.ts'

/** What is durably known of one move. Its data's progress is not here: that commits on the target. */
export interface MoveRecord {
  readonly name: string
  readonly route: string
  readonly state: MoveState
  /** Whether a mover is meant to run; false before `start` and while paused. */
  readonly shouldRun: boolean
  readonly paused: { readonly reason: string; readonly error: SerializedError | null } | null
  /** What an operator allowed by `replatform throttle`; null where nobody did, so that the estate's hold. */
  readonly limits: Limits | null
  readonly lastCompare: (CompareReport & { readonly finishedAt: string }) | null
}

interface Row {
  name: string
  route: string
  state: MoveState
  should_run: boolean
  paused_reason: string | null
  paused_error: SerializedError | null
  last_compare: MoveRecord['lastCompare']
  limits: Limits | null
}

const columns = 'name, route, state, should_run, paused_reason, paused_error, last_compare, limits'
const key = 'estate = $1 AND name = $2'

/** The moves of one estate, in the order of their names. Every change is one transaction. */
export class MoveRecords {
  readonly #database: ControlDatabase
  readonly #estate: string

  constructor(database: ControlDatabase, estate: string) {
    this.#database = database
    this.#estate = estate
  }

  /** Adds a planned move where there is none; an existing one keeps its state. */
  async ensure(name: string, route: string): Promise<void> {
    await this.#database.query(
      `INSERT INTO replatform_control.move (estate, name, route) VALUES ($1, $2, $3)
       ON CONFLICT (estate, name) DO UPDATE SET route = excluded.route`,
      [this.#estate, name, route],
    )
  }

  async list(): Promise<MoveRecord[]> {
    const rows = await this.#database.query<Row>(
      `SELECT ${columns} FROM replatform_control.move WHERE estate = $1 ORDER BY name`,
      [this.#estate],
    )
    return rows.map(toRecord)
  }

  /** Throws `estate.unknown-move`. */
  async get(name: string): Promise<MoveRecord> {
    return this.#read(this.#database, name)
  }

  /** Throws `state.transition-refused`. */
  async transition(name: string, to: MoveState, within: Sql = this.#database): Promise<MoveRecord> {
    for (;;) {
      const { state } = await this.#read(within, name)
      assertTransition(state, to)
      const [row] = await within.query<Row>(
        `UPDATE replatform_control.move SET state = $3, updated = now() WHERE ${key} AND state = $4 RETURNING ${columns}`,
        [this.#estate, name, to, state],
      )
      if (row) return toRecord(row)
    }
  }

  /** Sets a state that the database has lost, whatever it remembers, and that the move is meant to run. */
  async restore(name: string, state: MoveState, within: Sql): Promise<void> {
    await within.query(
      `UPDATE replatform_control.move SET state = $3, should_run = true, paused_reason = NULL, paused_error = NULL,
         updated = now() WHERE ${key}`,
      [this.#estate, name, state],
    )
  }

  /** A cancelled move may be started anew: it begins a second life and is not resumed. */
  renew(name: string): Promise<MoveRecord> {
    return this.#set(name, `state = 'planned', paused_reason = NULL, paused_error = NULL, last_compare = NULL`)
  }

  run(name: string): Promise<MoveRecord> {
    return this.#set(name, 'should_run = true, paused_reason = NULL, paused_error = NULL')
  }

  pause(name: string, reason: string, error: SerializedError | null): Promise<MoveRecord> {
    const set = 'should_run = false, paused_reason = $3, paused_error = $4::jsonb'
    return this.#set(name, set, [reason, error === null ? null : JSON.stringify(error)])
  }

  /** Nothing is meant to run any more, and that is not a pause. */
  end(name: string): Promise<MoveRecord> {
    return this.#set(name, 'should_run = false, paused_reason = NULL, paused_error = NULL')
  }

  limit(name: string, limits: Limits): Promise<MoveRecord> {
    return this.#set(name, 'limits = $3::jsonb', [JSON.stringify(limits)])
  }

  recordCompare(name: string, report: CompareReport, finishedAt: string): Promise<MoveRecord> {
    return this.#set(name, 'last_compare = $3::jsonb', [JSON.stringify({ ...report, finishedAt })])
  }

  async #set(name: string, assignments: string, values: readonly unknown[] = []): Promise<MoveRecord> {
    const [row] = await this.#database.query<Row>(
      `UPDATE replatform_control.move SET ${assignments}, updated = now() WHERE ${key} RETURNING ${columns}`,
      [this.#estate, name, ...values],
    )
    return row ? toRecord(row) : this.get(name)
  }

  async #read(sql: Sql, name: string): Promise<MoveRecord> {
    const rows = await sql.query<Row>(`SELECT ${columns} FROM replatform_control.move WHERE ${key}`, [
      this.#estate,
      name,
    ])
    if (rows[0]) return toRecord(rows[0])
    const known = (await this.list()).map((record) => record.name).join(', ')
    throw new ReplatformError('estate.unknown-move', { message: `There is no move "${name}"; there are: ${known}.` })
  }
}

function toRecord(row: Row): MoveRecord {
  return {
    name: row.name,
    route: row.route,
    state: row.state,
    shouldRun: row.should_run,
    paused: row.paused_reason === null ? null : { reason: row.paused_reason, error: row.paused_error },
    limits: row.limits,
    lastCompare: row.last_compare,
  }
}
