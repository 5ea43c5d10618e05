import { createHash } from 'node:crypto'
import type { EstateWave } from '@replatform/core/estate'
import type { ControlDatabase } from './control-database.ts'

export interface Approval {
  readonly wave: string
  readonly actor: string
  readonly reason: string | null
  readonly at: string
}

interface Row {
  wave: string
  actor: string
  reason: string | null
  at: Date
}

/** Who approved which wave, as the estate file had it then. An approval is used up by a cutover that commits. */
export class Approvals {
  readonly #database: ControlDatabase
  readonly #estate: string

  constructor(database: ControlDatabase, estate: string) {
    this.#database = database
    this.#estate = estate
  }

  async add(wave: EstateWave, { actor, reason }: Pick<Approval, 'actor' | 'reason'>): Promise<Approval> {
    // By the clock that cutovers are begun by: which of both was first must not depend on two machines.
    const [row] = await this.#database.query<Row>(
      `INSERT INTO replatform_control.approval (estate, wave, definition, actor, reason, at)
       VALUES ($1, $2, $3, $4, $5, clock_timestamp()) RETURNING wave, actor, reason, at`,
      [this.#estate, wave.name, digest(wave), actor, reason],
    )
    return toApproval(row as Row)
  }

  /** The one that counts now: of this very definition, and later than the last cutover that committed. */
  async standing(wave: EstateWave): Promise<Approval | undefined> {
    const [row] = await this.#database.query<Row>(
      `SELECT wave, actor, reason, at FROM replatform_control.approval
       WHERE estate = $1 AND wave = $2 AND definition = $3 AND at > coalesce(
         (SELECT max(started) FROM replatform_control.cutover
          WHERE estate = $1 AND wave = $2 AND direction = 'forward' AND outcome = 'committed'), '-infinity')
       ORDER BY id DESC LIMIT 1`,
      [this.#estate, wave.name, digest(wave)],
    )
    return row && toApproval(row)
  }
}

function toApproval(row: Row): Approval {
  return { ...row, at: row.at.toISOString() }
}

/** What was approved was this wave; one with other moves or another budget is approved anew. */
function digest(wave: EstateWave): string {
  const inOrder = Object.fromEntries(Object.entries(wave).toSorted(([a], [b]) => (a < b ? -1 : 1)))
  return createHash('sha256').update(JSON.stringify(inOrder)).digest('hex')
}
