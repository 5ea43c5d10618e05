/**
 * The schema crosses by pg_dump and pg_restore, in two halves: what tables need before their rows come, and what is
 * cheaper or only possible afterwards (indexes, constraints, triggers).
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Endpoint } from '@replatform/core/connector'
import { ReplatformError } from '@replatform/core/errors'
import { runTool } from './client-tools.ts'
import { type LeftOut, readLeftOut } from './filter-crossing.ts'
import { type Session, withSession } from './session.ts'

export interface SchemaTransferOptions {
  readonly source: Endpoint
  readonly target: Endpoint
  readonly tools: Readonly<Record<string, string>>
  readonly move: string
  readonly workers: number
  /** What the schema is read at; now where there is none. */
  readonly snapshot?: string | undefined
}

/** What the estate carries otherwise, what only a superuser could restore (assessment names each), and our own fence. */
const leftOut =
  /^\d+; \d+ \d+ (EVENT TRIGGER|PUBLICATION|PUBLICATION TABLE|SUBSCRIPTION|COMMENT - EXTENSION|COMMENT - SCHEMA public|SCHEMA - public|TRIGGER .* replatform_fence)\b/
const foreignKey = /^\d+; \d+ \d+ FK CONSTRAINT\b/

/** Puts types, functions, tables and sequences on the target: all of them or, on an error, none. */
export async function transferPreData(options: SchemaTransferOptions): Promise<void> {
  await using dump = await dumpSchema(options, 'pre-data')
  const list = await dump.list((line) => !leftOut.test(line))
  if (list) await dump.restore(list, ['--single-transaction', '--exit-on-error'])
}

export interface PostData {
  /** Indexes, primary keys, unique and check constraints, triggers, policies: everything but foreign keys. */
  restoreIndexes(): Promise<void>
  /** Foreign keys, which are checked against the rows of both tables. */
  restoreForeignKeys(): Promise<void>
}

/**
 * Hands out the second half. Whatever an earlier run left of it is dropped first, so that it can be called again after
 * a crash in its middle.
 */
export async function withPostData(
  options: SchemaTransferOptions & { readonly session: Session; readonly onRead: () => Promise<void> },
  work: (postData: PostData) => Promise<void>,
): Promise<void> {
  await using dump = await dumpSchema(options, 'post-data')
  await options.onRead()
  await dropLeftovers(dump, options.session)
  const restore = async (keep: (line: string) => boolean) => {
    const list = await dump.list(keep)
    if (!list) return
    const jobs = (count: number) => ['--exit-on-error', `--jobs=${count}`]
    try {
      await dump.restore(list, jobs(options.workers))
    } catch (thrown) {
      if (!isDeadlock(thrown)) throw thrown
      await dropLeftovers(dump, options.session, list)
      await dump.restore(list, jobs(1))
    }
  }
  await work({
    restoreIndexes: () => restore((line) => !leftOut.test(line) && !foreignKey.test(line)),
    restoreForeignKeys: () => restore((line) => foreignKey.test(line)),
  })
}

/** Workers of pg_restore may wait for each other where one item locks several tables, as with partitions. */
function isDeadlock(thrown: unknown): boolean {
  return thrown instanceof ReplatformError && thrown.message.includes('deadlock detected')
}

/** Of the whole second half, or of what stands in `list`. */
async function dropLeftovers(dump: SchemaDump, session: Session, list?: string): Promise<void> {
  const script = await dump.script(['--clean', '--if-exists', ...(list ? [`--use-list=${list}`] : [])])
  const drops = script
    .slice(0, Math.max(script.indexOf('\n-- Name: '), 0))
    .split('\n')
    .filter(
      (line) => /^(DROP|ALTER TABLE IF EXISTS .* DROP CONSTRAINT) /.test(line) && !/^DROP EVENT TRIGGER/.test(line),
    )
  if (drops.length > 0) await session.query(`BEGIN; ${drops.join('\n')}; COMMIT`)
}

interface SchemaDump extends AsyncDisposable {
  /** Writes a list file of the entries that pass; undefined where none does. */
  list(keep: (line: string) => boolean): Promise<string | undefined>
  restore(list: string, args: readonly string[]): Promise<void>
  script(args: readonly string[]): Promise<string>
}

async function dumpSchema(options: SchemaTransferOptions, section: 'pre-data' | 'post-data'): Promise<SchemaDump> {
  const folder = await mkdtemp(join(tmpdir(), 'replatform-schema-'))
  const file = join(folder, 'schema.dump')
  const { source, target, tools, move, snapshot } = options
  const restoreArgs = [`--section=${section}`, '--no-publications', '--no-subscriptions']
  const read = (args: readonly string[]) =>
    runTool({ tool: 'pg_restore', tools, args: [...restoreArgs, ...args, file], url: target.url, move })
  let lists = 0
  let entries: readonly string[] | undefined
  const stays = await readStaying(options)
  const dump: SchemaDump = {
    list: async (keep) => {
      entries ??= (await read(['--list'])).split('\n').filter((line) => line !== '' && !line.startsWith(';'))
      const kept = entries.filter((line) => keep(line) && !isLeftOut(line, stays))
      if (kept.length === 0) return undefined
      const name = join(folder, `list-${lists++}`)
      await writeFile(name, `${kept.join('\n')}\n`)
      return name
    },
    restore: async (list, args) =>
      void (await read([...args, `--use-list=${list}`, `--dbname=${databaseOf(target.url)}`])),
    script: (args) => read([...args, '--file=-']),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  }
  try {
    const args = [
      '--format=custom',
      '--schema-only',
      '--exclude-schema=replatform',
      `--section=${section}`,
      `--file=${file}`,
      ...stays.relations.map((name) => `--exclude-table=${name}`),
      ...(snapshot ? [`--snapshot=${snapshot}`] : []),
    ]
    await runTool({ tool: 'pg_dump', tools, args, url: source.url, move })
  } catch (thrown) {
    await dump[Symbol.asyncDispose]()
    throw thrown
  }
  return dump
}

/** Nothing without a filter. */
async function readStaying({ source, move }: SchemaTransferOptions): Promise<LeftOut> {
  if (!source.tables) return { relations: [], entries: new Set(), functions: [] }
  return withSession({ endpoint: source, side: 'source', move, role: 'schema' }, readLeftOut)
}

/** An entry names its catalogue and object id: `211; 1259 16402 TABLE public accounts owner`. */
function isLeftOut(line: string, { entries, functions }: LeftOut): boolean {
  const [, id = ''] = /^\d+; (\d+ \d+) /.exec(line) ?? []
  return entries.has(id) || functions.some((name) => line.includes(` ${name} `))
}

function databaseOf(url: string): string {
  return decodeURIComponent(new URL(url).pathname.slice(1))
}
