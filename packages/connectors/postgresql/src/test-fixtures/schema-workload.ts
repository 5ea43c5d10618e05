/**
 * Random work with changes of the schema in it: transactions of several sessions that interleave, nest and roll back.
 * A plan is made from its seed alone, so that it can be had again, and be made smaller transaction by transaction.
 */
import { seededPick } from '@replatform/testkit/seeded-random'
import pg from 'pg'
import { FollowedMove, type MoveSides } from './followed-move.ts'
import { readContents } from './pitfall-suite.ts'
import { readShape } from './shape.ts'

export interface Step {
  /** Steps of one transaction are done by one session, in their order, between those of others. */
  readonly transaction: number
  readonly session: number
  readonly sql: string
}

export type Plan = readonly Step[]

const sessions = 3
const transactions = 14

export function schemaOfSeed(seed: number): string {
  return `seed_${seed}`
}

export function makeTables(seed: number): string {
  return `CREATE SCHEMA ${schemaOfSeed(seed)}; SET search_path = ${schemaOfSeed(seed)};
    CREATE TABLE plain (id int PRIMARY KEY, n int, large text); ALTER TABLE plain ALTER large SET STORAGE EXTERNAL;
    CREATE TABLE uniques (id int PRIMARY KEY, code text UNIQUE DEFERRABLE, n int);
    CREATE TABLE keyless (n int, t text); ALTER TABLE keyless REPLICA IDENTITY FULL;
    CREATE TABLE parted (id int, at int, PRIMARY KEY (id, at)) PARTITION BY RANGE (at); CREATE TABLE parted_0 PARTITION OF parted FOR VALUES FROM (0) TO (10);
    INSERT INTO plain SELECT i, i, NULL FROM generate_series(1, 10) i; INSERT INTO uniques SELECT i, 'c' || i, i FROM generate_series(1, 10) i;
    INSERT INTO keyless SELECT i % 4, 'k' FROM generate_series(1, 10) i; INSERT INTO parted SELECT i, i FROM generate_series(0, 9) i`
}

type Pick = (below: number) => number

function rowStatement(pick: Pick): string {
  const [id, other] = [1 + pick(20), 1 + pick(20)]
  const large = `repeat(md5('${pick(1_000)}'), ${pick(3) === 0 ? 150 : 1})`
  const choices = [
    `INSERT INTO plain (id, n, large) VALUES (${id}, ${pick(9)}, ${large}) ON CONFLICT (id) DO UPDATE SET n = excluded.n`,
    `UPDATE plain SET n = n + 1 WHERE id = ${id}`,
    `UPDATE plain SET c${pick(3)} = ${pick(100)} WHERE id < ${id}`,
    `UPDATE plain SET id = ${other} WHERE id = ${id} AND NOT EXISTS (SELECT FROM plain WHERE id = ${other})`,
    `DELETE FROM plain WHERE id = ${id}`,
    `INSERT INTO uniques (id, code) SELECT ${id}, 'c${id}' WHERE NOT EXISTS (SELECT FROM uniques WHERE id = ${id} OR code = 'c${id}')`,
    `UPDATE uniques u SET code = o.code FROM uniques o WHERE u.id IN (${id}, ${other}) AND o.id IN (${id}, ${other}) AND u.id <> o.id`,
    `UPDATE uniques SET c${pick(3)} = n WHERE id = ${id}`,
    `DELETE FROM uniques WHERE id = ${id}`,
    `INSERT INTO keyless VALUES (${pick(4)}, NULL), (${pick(4)}, 'é')`,
    `UPDATE keyless SET t = 'u${pick(3)}' WHERE ctid = (SELECT min(ctid) FROM keyless WHERE n = ${pick(4)})`,
    `DELETE FROM keyless WHERE ctid = (SELECT min(ctid) FROM keyless)`,
    `INSERT INTO parted (id, at) VALUES (${id}, ${pick(30)}) ON CONFLICT DO NOTHING`,
    `UPDATE parted SET at = (at + 7) % 30 WHERE id = ${id}`,
    `INSERT INTO made_${pick(3)} (a, b) VALUES (${id}, 'b') ON CONFLICT DO NOTHING`,
    `UPDATE made_${pick(3)} SET b = b || 'x' WHERE a < ${id}`,
    ...(pick(6) === 0 ? ['TRUNCATE keyless'] : []),
  ]
  return choices[pick(choices.length)] as string
}

function definitionStatement(pick: Pick): string {
  const table = ['plain', 'uniques', 'keyless', 'parted', `made_${pick(3)}`][pick(5)] as string
  const column = `c${pick(3)}`
  const choices = [
    `ALTER TABLE ${table} ADD COLUMN ${column} int`,
    `ALTER TABLE ${table} ADD COLUMN ${column} int NOT NULL DEFAULT ${pick(50)}`,
    `ALTER TABLE ${table} ADD COLUMN ${column} text DEFAULT current_user`,
    `ALTER TABLE ${table} DROP COLUMN ${column}`,
    `ALTER TABLE ${table} RENAME COLUMN ${column} TO c${pick(3)}`,
    `ALTER TABLE ${table} ALTER COLUMN ${column} SET DEFAULT ${pick(9)}`,
    `ALTER TABLE ${table} ALTER COLUMN ${column} DROP NOT NULL`,
    `CREATE TABLE made_${pick(3)} (a int PRIMARY KEY, b text, ${column} int DEFAULT 3)`,
    `CREATE TABLE made_${pick(3)} (a serial PRIMARY KEY, b varchar(20) UNIQUE)`,
    `DROP TABLE made_${pick(3)}`,
    `ALTER TABLE made_${pick(3)} RENAME TO made_${pick(3)}`,
    `CREATE INDEX i${pick(3)} ON ${table} (${column})`,
    `DROP INDEX i${pick(3)}`,
    `ALTER TABLE ${table} ADD CONSTRAINT k${pick(2)} CHECK (${column} IS NULL OR ${column}::text <> 'never')`,
    `ALTER TABLE ${table} DROP CONSTRAINT k${pick(2)}`,
    `CREATE TABLE parted_${1 + pick(2)} PARTITION OF parted FOR VALUES FROM (${10 + 10 * pick(2)}) TO (${20 + 10 * pick(2)})`,
    'ALTER TABLE parted DETACH PARTITION parted_0',
    'ALTER TABLE parted ATTACH PARTITION parted_0 FOR VALUES FROM (0) TO (10)',
    'ALTER TABLE made_0 REPLICA IDENTITY FULL',
  ]
  return choices[pick(choices.length)] as string
}

export function planWorkload(seed: number): Plan {
  const pick = seededPick(seed)
  const waiting: Step[][] = Array.from({ length: sessions }, () => [])
  for (let transaction = 0; transaction < transactions; transaction++) {
    const session = pick(sessions)
    const add = (sql: string) => (waiting[session] as Step[]).push({ transaction, session, sql })
    add('BEGIN; SET CONSTRAINTS ALL DEFERRED')
    for (let left = 1 + pick(6); left > 0; left--) {
      // Everything under a savepoint of its own: what the state does not allow is undone alone.
      add('SAVEPOINT s')
      add(pick(3) === 0 ? definitionStatement(pick) : rowStatement(pick))
      add(pick(7) === 0 ? 'ROLLBACK TO s' : 'RELEASE s')
    }
    add(pick(8) === 0 ? 'ROLLBACK' : 'COMMIT')
  }
  const plan: Step[] = []
  while (waiting.some((steps) => steps.length > 0)) {
    const steps = waiting[pick(sessions)] as Step[]
    plan.push(...steps.splice(0, 1 + pick(6)))
  }
  return plan
}

/** Does a plan in the schema of its seed. A statement that is refused is undone, as the plan would have it again. */
export async function runPlan(url: string, seed: number, plan: Plan): Promise<void> {
  const clients = await Promise.all(Array.from({ length: sessions }, () => connect(url, seed)))
  try {
    for (const { session, sql } of plan) {
      const client = clients[session] as pg.Client
      await client.query(sql).catch(() => client.query('ROLLBACK TO s').catch(() => client.query('ROLLBACK')))
    }
  } finally {
    await Promise.all(clients.map((client) => client.end()))
  }
}

async function connect(url: string, seed: number): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(`SET search_path = ${schemaOfSeed(seed)}; SET lock_timeout = '30ms'`)
  return client
}

/** What differs between two databases in the schema of a seed; empty where nothing does. */
export async function differences(urls: readonly [string, string], seed: number): Promise<string[]> {
  const clients = urls.map((connectionString) => new pg.Client({ connectionString })) as [pg.Client, pg.Client]
  try {
    await Promise.all(clients.map((client) => client.connect()))
    const [a, b] = await Promise.all(clients.map((client) => readSide(client, schemaOfSeed(seed))))
    return [...new Set([...Object.keys(a as object), ...Object.keys(b as object)])].filter(
      (table) => JSON.stringify(a?.[table]) !== JSON.stringify(b?.[table]),
    )
  } finally {
    await Promise.all(clients.map((client) => client.end()))
  }
}

async function readSide(client: pg.Client, schema: string): Promise<Record<string, unknown>> {
  const shape = (await readShape(client)) as { table: string }[]
  const shapes = shape
    .filter(({ table }) => table.startsWith(`${schema}.`))
    .map((each) => [`shape of ${each.table}`, each])
  return { ...Object.fromEntries(shapes), ...(await readContents(client, schema)) }
}

export interface Trial extends MoveSides {
  readonly seeds: readonly number[]
  readonly name: string
  readonly planOf: (seed: number) => Plan
}

/**
 * Moves a database in which the plans are done while the move follows, and holds the target against the source and
 * against a database that is loaded anew from the source. Returns the seeds that differ, each with where.
 */
export async function tryWorkload({ seeds, name, planOf, ...sides }: Trial): Promise<Map<number, string[]>> {
  const { source, target } = sides
  await source.createDatabase(name)
  await target.createDatabase(name)
  await target.createDatabase(`${name}_anew`)
  for (const seed of seeds) await source.query(makeTables(seed), name)
  await using move = new FollowedMove({ name, ...sides, open: { schemaChanges: 'carry' } })
  await move.load()
  move.follow()
  for (const seed of seeds) await runPlan(source.url(name), seed, planOf(seed))
  await move.level()
  await move.stop()
  const anew = { kind: 'postgresql', url: target.url(`${name}_anew`) } as const
  await using rebuilt = new FollowedMove({ name, ...sides, open: { move: `${move.open.move}-anew`, target: anew } })
  await rebuilt.load()
  rebuilt.follow()
  await rebuilt.level()
  await rebuilt.stop()
  const failed = new Map<number, string[]>()
  for (const seed of seeds) {
    const found = [
      ...(await differences([source.url(name), target.url(name)], seed)),
      ...(await differences([anew.url, target.url(name)], seed)).map((place) => `${place} (loaded anew)`),
    ]
    if (found.length > 0) failed.set(seed, found)
  }
  return failed
}

/** The smallest plan found that still fails: transactions are left out as long as it does, within so many trials. */
export async function shrink(plan: Plan, fails: (plan: Plan) => Promise<boolean>, trials = 40): Promise<Plan> {
  let smallest = plan
  const all = () => [...new Set(smallest.map((step) => step.transaction))]
  let left = trials
  for (let size = Math.ceil(all().length / 2); size >= 1 && left > 0; size = Math.floor(size / 2)) {
    for (let from = 0; from < all().length && left > 0; ) {
      const dropped = new Set(all().slice(from, from + size))
      const smaller = smallest.filter((step) => !dropped.has(step.transaction))
      left--
      if (smaller.length < smallest.length && (await fails(smaller))) smallest = smaller
      else from += size
    }
  }
  return smallest
}

/** Of many seeds one may end the stream for all: then each is tried alone. Shrinks the first that fails, and prints it. */
export async function findFailure(trial: Omit<Trial, 'planOf'>): Promise<string | undefined> {
  const whole = await tryWorkload({ ...trial, planOf: planWorkload }).then(
    (failed) => [...failed.keys()],
    () => trial.seeds,
  )
  let n = 0
  const failure = async (seed: number, plan: Plan): Promise<string | undefined> => {
    const alone = { ...trial, name: `${trial.name}_${n++}`, seeds: [seed], planOf: () => plan }
    return tryWorkload(alone).then(
      (failed) => failed.get(seed)?.join(', '),
      (thrown: Error) => thrown.message,
    )
  }
  for (const seed of whole) {
    const what = await failure(seed, planWorkload(seed))
    if (what === undefined) continue
    const smallest = await shrink(planWorkload(seed), async (plan) => (await failure(seed, plan)) !== undefined)
    const steps = smallest.map(({ session, sql }) => `  ${session}: ${sql}`)
    return `Seed ${seed}: ${what}. SCHEMA_WORKLOAD_SEED=${seed} tries it again; the smallest plan found:\n${steps.join('\n')}`
  }
  if (whole.length > 0) return `Seeds ${whole.join(', ')} fail together, and none alone.`
  return undefined
}
