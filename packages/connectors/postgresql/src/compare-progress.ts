/**
 * What a comparison of everything has found equal so far, kept on the target. One that was interrupted leaves it there,
 * and the next goes on: what was found equal is not read again, apart from keys that were written since. For that,
 * every follower records written keys from the moment that the first of them began.
 */
import type { ComparePlan } from './compare-plan.ts'
import { type FlowKey, requireEpoch } from './flow-store.ts'
import { formatLsn, type Lsn } from './lsn.ts'
import type { RowStream } from './row-stream.ts'
import type { Session } from './session.ts'

/** The beginning of a table, or all of it, that was equal on both sides as of `at`. */
export interface EqualPart {
  readonly at: string
  readonly rows: number
  /** The key that is to be read next, as text; null when nothing is left. */
  readonly next: readonly string[] | null
}

export interface CompareProgressOptions {
  /** To the target, of its own: both others are in the middle of reading. */
  readonly session: Session
  readonly key: FlowKey
  readonly epoch: bigint
  /** Where this comparison stands. */
  readonly at: Lsn
  /** Of the source's tables, by label. */
  readonly files: Readonly<Record<string, string>>
}

/**
 * From its return on, every follower of the flow records the keys that it writes, after a restart too. Call while the
 * target stands at `at`. Refused once another mover has taken over.
 */
export async function beginComparing(session: Session, key: FlowKey, at: Lsn): Promise<void> {
  await session.query(
    `UPDATE replatform.flow SET comparing_at = coalesce(comparing_at, $3) WHERE move = $1 AND direction = $2`,
    [key.move, key.direction, formatLsn(at)],
  )
}

/** Inside the caller's transaction: nothing is left to go on with. */
export async function forgetProgress(session: Session, key: FlowKey): Promise<void> {
  await session.query('UPDATE replatform.flow SET comparing_at = NULL WHERE move = $1 AND direction = $2', [
    key.move,
    key.direction,
  ])
  await session.query('DELETE FROM replatform.compared WHERE move = $1 AND direction = $2', [key.move, key.direction])
}

export class CompareProgress {
  readonly #options: CompareProgressOptions
  readonly #known: Map<string, EqualPart & { readonly shape: string }>
  /** One statement at a time; what falls due meanwhile is left to the next mark. */
  #writing: Promise<void> | null = null
  #failure: unknown

  static async open(options: CompareProgressOptions): Promise<CompareProgress> {
    const { session, key } = options
    const { rows } = await session.query(
      `SELECT relation, at, shape, rows, to_json(next_key) AS next FROM replatform.compared WHERE move = $1 AND direction = $2`,
      [key.move, key.direction],
    )
    const known = (rows as Record<string, string | null>[]).map(({ relation, at, shape, rows, next }) => {
      const part = { at: at as string, shape: shape as string, rows: Number(rows) }
      return [relation as string, { ...part, next: next == null ? null : (JSON.parse(next) as string[]) }] as const
    })
    return new CompareProgress(options, new Map(known))
  }

  private constructor(options: CompareProgressOptions, known: Map<string, EqualPart & { readonly shape: string }>) {
    this.#options = options
    this.#known = known
  }

  /** Undefined where nothing is known of the table, or it was rewritten or got another shape since. */
  partOf(plan: ComparePlan): EqualPart | undefined {
    const part = this.#known.get(plan.source.label)
    return part?.shape === this.#shapeOf(plan) ? part : undefined
  }

  /** Everything before the current row of the source was equal. Returns at once; a failure is told by `settle`. */
  mark(plan: ComparePlan, row: RowStream, rows: number): void {
    if (this.#writing || plan.key.length === 0) return
    const key = plan.key.map((_, i) => {
      const start = row.starts[i] as number
      return Buffer.from(row.bytes.subarray(start, start + Math.max(row.lengths[i] as number, 0)))
    })
    const texts = plan.key.map(({ name, isNative }, i) => {
      const type = plan.target.columns.find((column) => column.name === name)?.type ?? 'text'
      return `$${i + 8}::${isNative ? type : 'text'}::text`
    })
    this.#writing = this.#write(plan, rows, `ARRAY[${texts.join(', ')}]`, key)
      .catch((thrown) => {
        this.#failure = thrown
      })
      .finally(() => {
        this.#writing = null
      })
  }

  /** All of the table was equal. */
  async finish(plan: ComparePlan, rows: number): Promise<void> {
    await this.settle()
    await this.#write(plan, rows, 'NULL', [])
  }

  /** Waits for what is being written; throws what became of it. */
  async settle(): Promise<void> {
    await this.#writing
    if (this.#failure) throw this.#failure
  }

  async #write(plan: ComparePlan, rows: number, next: string, key: readonly Buffer[]): Promise<void> {
    const { session, key: flow, epoch, at } = this.#options
    const { rowCount } = await session.query(
      `INSERT INTO replatform.compared (move, direction, relation, at, shape, rows, next_key)
       SELECT $1, $2, $3, $4, $5, $6, ${next} FROM replatform.flow f WHERE f.move = $1 AND f.direction = $2 AND f.epoch = $7
       ON CONFLICT (move, direction, relation) DO UPDATE
         SET at = excluded.at, shape = excluded.shape, rows = excluded.rows, next_key = excluded.next_key`,
      [flow.move, flow.direction, plan.source.label, formatLsn(at), this.#shapeOf(plan), rows, epoch, ...key],
    )
    requireEpoch(rowCount, flow)
  }

  #shapeOf(plan: ComparePlan): string {
    const columns = plan.columns.map(({ name }) => {
      const types = [plan.source, plan.target].map((side) => side.columns.find((column) => column.name === name)?.type)
      return [name, ...types]
    })
    return JSON.stringify([
      this.#options.files[plan.source.label],
      plan.unpaired,
      plan.key.map(({ name }) => name),
      columns,
    ])
  }
}
