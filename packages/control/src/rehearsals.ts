import type { RehearsalReport } from './api-types.ts'
import type { ControlDatabase } from './control-database.ts'

/** What was found when a wave was rehearsed. */
export interface RehearsalRecord {
  readonly passed: boolean
  readonly at: string
  readonly report: RehearsalReport
}

export class Rehearsals {
  readonly #database: ControlDatabase
  readonly #estate: string

  constructor(database: ControlDatabase, estate: string) {
    this.#database = database
    this.#estate = estate
  }

  async add(operation: string, wave: string, { passed, at, report }: RehearsalRecord): Promise<void> {
    await this.#database.query(
      `INSERT INTO replatform_control.rehearsal (operation, estate, wave, passed, report, at)
       VALUES ($1, $2, $3, $4, $5::jsonb, $6) ON CONFLICT (operation) DO NOTHING`,
      [operation, this.#estate, wave, passed, JSON.stringify(report), at],
    )
  }

  async last(wave: string): Promise<RehearsalRecord | undefined> {
    const [row] = await this.#database.query<{ passed: boolean; at: Date; report: RehearsalReport }>(
      `SELECT passed, at, report FROM replatform_control.rehearsal
       WHERE estate = $1 AND wave = $2 ORDER BY at DESC LIMIT 1`,
      [this.#estate, wave],
    )
    // Earlier versions did not tell of switchover points.
    return row && { ...row, report: { ...row.report, routings: row.report.routings ?? [] }, at: row.at.toISOString() }
  }
}
