/**
 * Pitfalls that share one pair of servers and one move: each has a schema of its own, is loaded and followed with the
 * others, and is then looked at by a test that bears its name. `PITFALL=words` runs only those whose name holds them.
 * Schemas belong to an ordinary role, and the move has no other rights than those that `replatform grants` prints.
 */
import type { OpenOptions } from '@replatform/core/connector'
import type { CompareReport } from '@replatform/core/difference'
import { type PostgresqlServer, startPostgresql } from '@replatform/testkit/postgresql-server'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FollowedMove } from './followed-move.ts'
import { keeper, keptByOwner, moverAccounts } from './mover-accounts.ts'

export interface Pitfall {
  readonly name: string
  /** Makes the tables and their first rows, in a schema of its own that the search path names. */
  readonly schema: string
  /** Runs between the snapshot and the first row of the load. */
  readonly duringLoad?: Work
  /** Runs while the move follows. */
  readonly following?: Work
  /** What must hold besides that every table of the schema is the same on both sides. */
  readonly expected?: (sides: { readonly source: pg.Client; readonly target: pg.Client }) => Promise<void>
}

/** Statements, each of them a transaction unless it says BEGIN; or more than one session's work. */
export type Work = readonly string[] | ((connect: () => Promise<pg.Client>) => Promise<void>)

export interface PitfallSuite {
  readonly on: readonly { readonly source: 13 | 15; readonly target: 17 | 18 }[]
  /** Run by the superuser before anything else: extensions and the like. */
  readonly before?: string
  /**
   * Definitions change while the move follows, and are carried: that takes event triggers on the source, and these a
   * superuser. The account of the target stays what it is.
   */
  readonly carries?: boolean
  readonly pitfalls: (major: number) => readonly Pitfall[]
}

/** Registers a test for every pitfall on every pair. */
export function testPitfalls({ on, before, carries = false, pitfalls }: PitfallSuite): void {
  describe.each(on)('PostgreSQL $source to $target', (majors) => {
    const all = pitfalls(majors.source).filter(({ name }) => name.includes(process.env.PITFALL ?? ''))
    let sides: Sides
    let report: CompareReport

    beforeAll(async () => {
      sides = await Sides.start(majors)
      if (before) await sides.source.query(before, database)
      for (const [i, pitfall] of all.entries()) await sides.source.query(inSchema(i, pitfall.schema), database)
      report = await sides.move(all, carries)
    }, 240_000)
    afterAll(() => sides?.[Symbol.asyncDispose]())

    test.each(all.map((pitfall, i) => ({ name: pitfall.name, pitfall, i })))('$name', async ({ pitfall, i }) => {
      const { source, target } = sides.clients
      for (const client of [source, target]) await client.query(`SET search_path = ${schemaOf(i)}, public`)
      const contents = await readContents(source, schemaOf(i))
      expect(await readContents(target, schemaOf(i))).toEqual(contents)
      const compared = report.results.filter((result) => result.name.startsWith(`${schemaOf(i)}.`))
      expect(compared.filter((result) => result.mismatched + result.missing + result.extra > 0)).toEqual([])
      expect(compared.map((result) => result.name).sort()).toEqual(Object.keys(contents).sort())
      await pitfall.expected?.({ source, target })
    })
  })
}

const database = 'pitfalls'

class Sides implements AsyncDisposable {
  readonly source: PostgresqlServer
  readonly target: PostgresqlServer
  /** Open once the move is over: the fence ends everybody else's sessions. */
  clients!: { source: pg.Client; target: pg.Client }
  #move: FollowedMove | null = null

  static async start({ source: s, target: t }: { source: 13 | 15; target: 17 | 18 }): Promise<Sides> {
    const source = await startPostgresql({ major: s })
    const target = await startPostgresql({ major: t })
    await source.createDatabase(database)
    await target.createDatabase(database)
    await keptByOwner([source, target], database)
    return new Sides(source, target)
  }

  constructor(source: PostgresqlServer, target: PostgresqlServer) {
    this.source = source
    this.target = target
  }

  async move(all: readonly Pitfall[], carries: boolean): Promise<CompareReport> {
    const { source, target } = this
    const urls = await moverAccounts(this, database)
    const open: Partial<OpenOptions> = {
      source: { kind: 'postgresql', url: carries ? source.url(database) : urls.source },
      target: { kind: 'postgresql', url: urls.target },
      schemaChanges: carries ? 'carry' : 'stop',
    }
    const move = new FollowedMove({ name: database, source, target, open })
    this.#move = move
    await move.load(() => this.#each(all, (pitfall) => pitfall.duringLoad))
    move.follow()
    await this.#each(all, (pitfall) => pitfall.following)
    await move.level()
    const report = await move.compare()
    await move.stop()
    this.clients = { source: await connectTo(source), target: await connectTo(target) }
    return report
  }

  async #each(all: readonly Pitfall[], workOf: (pitfall: Pitfall) => Work | undefined): Promise<void> {
    for (const [i, pitfall] of all.entries()) {
      const work = workOf(pitfall)
      const clients: pg.Client[] = []
      const connect = async () => {
        const client = await connectTo(this.source)
        await client.query(`SET ROLE ${keeper}; SET search_path = ${schemaOf(i)}, public`)
        clients.push(client)
        return client
      }
      if (typeof work === 'function') await work(connect)
      else if (work)
        for (const client = await connect(), rest = [...work]; rest.length > 0; )
          await client.query(rest.shift() as string)
      for (const client of clients) await client.end()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.clients?.source.end()
    await this.clients?.target.end()
    await this.#move?.[Symbol.asyncDispose]()
    await this.source[Symbol.asyncDispose]()
    await this.target[Symbol.asyncDispose]()
  }
}

async function connectTo(server: PostgresqlServer): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: server.url(database) })
  client.on('error', () => {})
  await client.connect()
  await client.query(`SET timezone = 'UTC'; SET lc_monetary = 'C'; SET extra_float_digits = 3`)
  return client
}

function schemaOf(i: number): string {
  return `p${i}`
}

function inSchema(i: number, sql: string): string {
  return `SET SESSION AUTHORIZATION ${keeper}; CREATE SCHEMA ${schemaOf(i)}; SET search_path = ${schemaOf(i)}, public; ${sql}`
}

/** Count and digest of the text of all rows, by table: another reading than the product's own. */
export async function readContents(client: pg.Client, schema: string): Promise<Record<string, string>> {
  const tables = await client.query<{ name: string; label: string }>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS name, n.nspname || '.' || c.relname AS label
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname = $1 ORDER BY 2`,
    [schema],
  )
  const contents: Record<string, string> = {}
  for (const { name, label } of tables.rows) {
    const { rows } = await client.query<{ digest: string }>(
      `SELECT count(*) || ' ' || coalesce(md5(string_agg(d, '' ORDER BY d)), '') AS digest FROM (SELECT md5(t::text) AS d FROM ONLY ${name} t) d`,
    )
    contents[label] = rows[0]?.digest ?? ''
  }
  return contents
}
