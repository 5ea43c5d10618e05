import { type DiffersLine, type RunLine, readJournal } from './journal.ts'
import { TemporaryDatabase } from './temporary-database.ts'

type Value = string | number | null

/** How a line of a journal stands in the table. */
interface Statement<Line> {
  readonly sql: string
  /** `startedAt`: the wall clock at millisecond 0 of its run, since 1970. */
  readonly values: (line: Line, startedAt: number) => readonly Value[]
}

/** What is special to the journal of one kind of requests. */
export interface AskLayout<Ask, End> {
  /** Creates `asks`, whose column `outcome` begins as 'unknown': a request whose outcome was never written is that. */
  readonly schema: string
  readonly ask: Statement<Ask>
  /** Changes exactly one row, for there is no outcome of what was never asked. */
  readonly end: Statement<End>
}

/**
 * A journal, sorted: a temporary SQLite file, so that one of any length is judged with 32 MB of memory and about 150
 * bytes of disk a request.
 */
export class AskTable<Ask extends { readonly t: 'ask' }, End extends { readonly t: 'end'; readonly key: string }>
  implements Disposable
{
  readonly #file: TemporaryDatabase
  readonly #layout: AskLayout<Ask, End>

  constructor(layout: AskLayout<Ask, End>) {
    this.#layout = layout
    this.#file = new TemporaryDatabase(`${layout.schema}; CREATE TABLE differing (key TEXT)`)
  }

  /** Reads a whole journal. Several may be added, as long as no request stands in two. */
  async add(path: string): Promise<void> {
    const { sql } = this.#file
    const ask = sql.prepare(this.#layout.ask.sql)
    const end = sql.prepare(this.#layout.end.sql)
    const differs = sql.prepare('INSERT INTO differing VALUES (?)')
    let startedAt = 0
    sql.exec('BEGIN')
    for await (const line of readJournal<Ask | End | RunLine | DiffersLine>(path)) {
      if (line.t === 'run') startedAt = Date.parse((line as RunLine).at)
      if (line.t === 'ask') ask.run(...this.#layout.ask.values(line as Ask, startedAt))
      if (line.t === 'differs') differs.run((line as DiffersLine).key)
      if (line.t === 'end') {
        const { changes } = end.run(...this.#layout.end.values(line as End, startedAt))
        const { key } = line as End
        if (BigInt(changes) !== 1n) throw new Error(`the journal has an outcome for ${key}, which it never asked`)
      }
    }
    sql.exec('COMMIT')
  }

  /** Requests whose repetition got another answer: how many, and the first of them. */
  get differing(): { readonly count: number; readonly keys: readonly string[] } {
    const [{ count } = { count: 0n }] = this.rows<{ count: bigint }>('SELECT count(*) AS count FROM differing')
    const keys = [...this.rows<{ key: string }>('SELECT key FROM differing LIMIT 10')].map(({ key }) => key)
    return { count: Number(count), keys }
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]()
  }

  /** One by one; whole numbers are bigint. */
  protected rows<Row>(sql: string, ...values: Value[]): Iterable<Row> {
    return this.#file.sql.prepare(sql).iterate(...values) as Iterable<unknown> as Iterable<Row>
  }
}
