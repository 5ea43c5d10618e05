import { ReplatformError } from '@replatform/core/errors'
import type { Direction, MoveState } from '@replatform/core/move'
import type { ControlDatabase, Sql } from './control-database.ts'
import type { MoveRecords } from './move-records.ts'

/** One cutover or rollback, finished or in the middle. */
export interface CutoverRecord {
  /** The id of the operation that asked for it, and the key of its decision. */
  readonly id: string
  readonly direction: Direction
  /** Of its fences; grows with each cutover of the estate. */
  readonly turn: number
  /** The wave that the estate declares; null for a move by itself. */
  readonly wave: string | null
  readonly budgetMs: number
  /** What its pause was predicted to be. */
  readonly predictedMs: number | null
  readonly outcome: 'committed' | 'aborted' | null
  readonly pauseMs: number | null
  readonly moves: readonly { readonly name: string; readonly stateBefore: MoveState }[]
}

export interface CutoverEnd {
  readonly outcome: 'committed' | 'aborted'
  readonly pauseMs: number | null
}

interface Row {
  id: string
  direction: Direction
  /** A bigint, which comes as text where it is not cast. */
  turn: string | number
  wave: string | null
  budget_ms: number
  outcome: 'committed' | 'aborted' | null
  pause_ms: number | null
  predicted_ms: number | null
}

const columns = 'c.id, c.direction, c.turn, c.wave, c.budget_ms, c.outcome, c.pause_ms, c.predicted_ms'

/** Whether somebody has brought the cutover to its end and closed its record. */
export async function isClosed(database: Sql, cutover: string): Promise<boolean> {
  const rows = await database.query(
    'SELECT id FROM replatform_control.cutover WHERE id = $1 AND finished IS NOT NULL',
    [cutover],
  )
  return rows.length > 0
}

export class CutoverRecords {
  readonly #database: ControlDatabase
  readonly #estate: string
  readonly #moves: MoveRecords

  constructor(database: ControlDatabase, estate: string, moves: MoveRecords) {
    this.#database = database
    this.#estate = estate
    this.#moves = moves
  }

  /**
   * From its return on, whoever takes over one of the moves knows that a cutover has to be ended. Throws
   * `operation.interrupted` where its operation has ended: a request whose sender has given up may arrive late.
   */
  async begin(cutover: Omit<CutoverRecord, 'outcome' | 'pauseMs'>): Promise<void> {
    await this.#database.transaction(async (sql) => {
      const asked = await sql.query(
        `SELECT id FROM replatform_control.operation WHERE id = $1 AND state = 'running' FOR UPDATE`,
        [cutover.id],
      )
      if (asked.length === 0) {
        const message = `The operation ${cutover.id} has ended; no cutover begins for it.`
        throw new ReplatformError('operation.interrupted', { message })
      }
      await this.#add(cutover, sql, (move, state) => this.#moves.transition(move, state, sql))
    })
  }

  /** Puts back one that the database lost, over whatever states it remembers. */
  async restore(cutover: Omit<CutoverRecord, 'outcome' | 'pauseMs'>): Promise<void> {
    await this.#database.transaction((sql) =>
      this.#add(cutover, sql, (move, state) => this.#moves.restore(move, state, sql)),
    )
  }

  /**
   * Closes it and gives every move its new state, all or none. Does nothing where somebody has closed it already: what
   * was begun since then must not be set back by a coordinator that slept.
   */
  async end(cutover: CutoverRecord, end: CutoverEnd): Promise<void> {
    const committed = cutover.direction === 'forward' ? 'reversing' : 'rolled-back'
    await this.#database.transaction(async (sql) => {
      const closed = await sql.query(
        `UPDATE replatform_control.cutover SET outcome = $2, pause_ms = $3, finished = now()
         WHERE id = $1 AND finished IS NULL RETURNING id`,
        [cutover.id, end.outcome, end.pauseMs],
      )
      if (closed.length === 0) return
      for (const move of cutover.moves) {
        await this.#moves.transition(move.name, end.outcome === 'committed' ? committed : move.stateBefore, sql)
      }
    })
  }

  async #add(
    cutover: Omit<CutoverRecord, 'outcome' | 'pauseMs'>,
    sql: Sql,
    setState: (move: string, state: MoveState) => Promise<unknown>,
  ): Promise<void> {
    const { id, direction, turn, wave, budgetMs, predictedMs } = cutover
    await sql.query(
      `INSERT INTO replatform_control.cutover (id, estate, direction, turn, wave, budget_ms, predicted_ms, started)
       VALUES ($1, $2, $3, $4, $5, $6, $7, now())`,
      [id, this.#estate, direction, turn, wave, budgetMs, predictedMs],
    )
    for (const move of cutover.moves) {
      await sql.query(
        `INSERT INTO replatform_control.cutover_move (cutover, estate, move, state_before) VALUES ($1, $2, $3, $4)`,
        [id, this.#estate, move.name, move.stateBefore],
      )
      await setState(move.name, direction === 'forward' ? 'cutting-over' : 'rolling-back')
    }
  }

  /** The one that has begun and not ended, where there is one. */
  unfinished(move: string): Promise<CutoverRecord | undefined> {
    return this.#ofMove(move, 'AND c.finished IS NULL')
  }

  async allUnfinished(): Promise<CutoverRecord[]> {
    const rows = await this.#database.query<Row>(
      `SELECT ${columns} FROM replatform_control.cutover c WHERE c.estate = $1 AND c.finished IS NULL ORDER BY c.started`,
      [this.#estate],
    )
    return Promise.all(rows.map(async (row) => toRecord(row, await this.#movesOf(row.id))))
  }

  /** The last of a declared wave as a whole. */
  lastOfWave(wave: string): Promise<CutoverRecord | undefined> {
    return this.#ofWave(wave, '')
  }

  /** The last that went forward and was committed. */
  lastCommittedOfWave(wave: string): Promise<CutoverRecord | undefined> {
    return this.#ofWave(wave, `AND c.direction = 'forward' AND c.outcome = 'committed'`)
  }

  async #ofWave(wave: string, condition: string): Promise<CutoverRecord | undefined> {
    const [row] = await this.#database.query<Row>(
      `SELECT ${columns} FROM replatform_control.cutover c
       WHERE c.estate = $1 AND c.wave = $2 ${condition} ORDER BY c.started DESC LIMIT 1`,
      [this.#estate, wave],
    )
    return row && toRecord(row, await this.#movesOf(row.id))
  }

  /** Of any cutover of the estate; 0 where there was none. */
  async lastTurn(): Promise<number> {
    const [row] = await this.#database.query<{ last: string | number }>(
      'SELECT coalesce(max(turn), 0) AS last FROM replatform_control.cutover WHERE estate = $1',
      [this.#estate],
    )
    return Number(row?.last ?? 0)
  }

  last(move: string): Promise<CutoverRecord | undefined> {
    return this.#ofMove(move, '')
  }

  async find(id: string): Promise<CutoverRecord | undefined> {
    const [row] = await this.#database.query<Row>(
      `SELECT ${columns} FROM replatform_control.cutover c WHERE c.id = $1 AND c.estate = $2`,
      [id, this.#estate],
    )
    return row && toRecord(row, await this.#movesOf(row.id))
  }

  async #ofMove(move: string, condition: string): Promise<CutoverRecord | undefined> {
    const [row] = await this.#database.query<Row>(
      `SELECT ${columns} FROM replatform_control.cutover c
       JOIN replatform_control.cutover_move m ON m.cutover = c.id
       WHERE m.estate = $1 AND m.move = $2 ${condition} ORDER BY c.started DESC LIMIT 1`,
      [this.#estate, move],
    )
    return row && toRecord(row, await this.#movesOf(row.id))
  }

  #movesOf(id: string): Promise<CutoverRecord['moves'][number][]> {
    return this.#database.query(
      `SELECT move AS name, state_before AS "stateBefore" FROM replatform_control.cutover_move
       WHERE cutover = $1 ORDER BY move`,
      [id],
    )
  }
}

function toRecord(row: Row, moves: CutoverRecord['moves']): CutoverRecord {
  const { id, direction, wave, outcome } = row
  return {
    id,
    direction,
    turn: Number(row.turn),
    wave,
    budgetMs: row.budget_ms,
    predictedMs: row.predicted_ms,
    outcome,
    pauseMs: row.pause_ms,
    moves,
  }
}
