import { ReplatformError } from '@replatform/core/errors'
import type { ControlDatabase } from './control-database.ts'

export type Severity = 'minor' | 'severe'

/** Something that stands in the way of a cutover until somebody has closed it. */
export interface Incident {
  readonly id: number
  readonly severity: Severity
  readonly title: string
  readonly openedBy: string
  readonly openedAt: string
}

interface Row {
  id: string | number
  severity: Severity
  title: string
  opened_by: string
  opened_at: Date
}

export class Incidents {
  readonly #database: ControlDatabase
  readonly #estate: string

  constructor(database: ControlDatabase, estate: string) {
    this.#database = database
    this.#estate = estate
  }

  async open(incident: Omit<Incident, 'id'>): Promise<Incident> {
    const { severity, title, openedBy, openedAt } = incident
    const [row] = await this.#database.query<{ id: string | number }>(
      `INSERT INTO replatform_control.incident (estate, severity, title, opened_by, opened_at)
       VALUES ($1, $2, $3, $4, $5) RETURNING id`,
      [this.#estate, severity, title, openedBy, openedAt],
    )
    return { id: Number(row?.id), ...incident }
  }

  /** Throws `incident.unknown`, also for one that is closed already. */
  async close(id: number, by: { readonly actor: string; readonly at: string }): Promise<Incident> {
    const [row] = await this.#database.query<Row>(
      `UPDATE replatform_control.incident SET closed_by = $3, closed_at = $4
       WHERE estate = $1 AND id = $2 AND closed_at IS NULL RETURNING id, severity, title, opened_by, opened_at`,
      [this.#estate, id, by.actor, by.at],
    )
    if (row) return toIncident(row)
    throw new ReplatformError('incident.unknown', { message: `There is no open incident ${id}.` })
  }

  /** Oldest first. */
  async listOpen(): Promise<Incident[]> {
    const rows = await this.#database.query<Row>(
      `SELECT id, severity, title, opened_by, opened_at FROM replatform_control.incident
       WHERE estate = $1 AND closed_at IS NULL ORDER BY id`,
      [this.#estate],
    )
    return rows.map(toIncident)
  }
}

function toIncident({ id, severity, title, opened_by, opened_at }: Row): Incident {
  return { id: Number(id), severity, title, openedBy: opened_by, openedAt: opened_at.toISOString() }
}
