/** From what a table was and is to the statements that make the same of it on the target. Pure. */
import type { ColumnDescription, SequenceDescription, TableDescription } from './schema-description.ts'
import { ident, literal, qualified } from './sql.ts'

/** Thrown where the target cannot be brought to the same rows by a statement. */
export class NotCarried extends Error {}

export function tableStatements(was: TableDescription | null, nowIs: TableDescription | null): string[] {
  if (nowIs?.persistence === 'u')
    throw new NotCarried(`${labelOf(nowIs)} is unlogged: its rows are in no change stream`)
  if (!nowIs) return was ? [`DROP TABLE ${tableOf(was)}`] : []
  return was ? alterTable(was, nowIs) : createTable(nowIs)
}

function createTable(table: TableDescription): string[] {
  const name = tableOf(table)
  const isPartition = table.bound !== null
  const serials = table.sequences.filter((sequence) => !sequence.isIdentity)
  const own = table.columns.filter((column) => column.isLocal)
  const columns = own.map((column) => columnDefinition(column, identityOf(table, column)))
  const inherits = table.parents.length > 0 ? ` INHERITS (${table.parents.join(', ')})` : ''
  const partitioned = table.partitionKey === null ? '' : ` PARTITION BY ${table.partitionKey}`
  const body = isPartition ? ` PARTITION OF ${table.parents[0]} ${table.bound}` : ` (${columns.join(', ')})${inherits}`
  return [
    ...serials.map((sequence) => `CREATE SEQUENCE ${qualified(sequence.schema, sequence.name)} ${sequence.options}`),
    `CREATE TABLE ${name}${body}${partitioned}`,
    ...serials.map((s) => `ALTER SEQUENCE ${qualified(s.schema, s.name)} OWNED BY ${name}.${ident(s.column)}`),
    `ALTER TABLE ${name} OWNER TO ${ident(table.owner)}`,
    ...grantStatements({ ...table, grants: [] }, table),
    ...addedConstraints({ ...table, constraints: [] }, table),
    ...addedIndexes({ ...table, indexes: [] }, table),
    ...identityStatements({ ...table, identity: 'd' }, table),
  ]
}

function alterTable(before: TableDescription, nowIs: TableDescription): string[] {
  const was = underNewNames(before, nowIs)
  const moved = was.schema === nowIs.schema ? [] : [`ALTER TABLE ${tableOf(was)} SET SCHEMA ${ident(nowIs.schema)}`]
  const inBetween = qualified(nowIs.schema, was.name)
  const renamed = was.name === nowIs.name ? [] : [`ALTER TABLE ${inBetween} RENAME TO ${ident(nowIs.name)}`]
  const owner = was.owner === nowIs.owner ? [] : [`ALTER TABLE ${tableOf(nowIs)} OWNER TO ${ident(nowIs.owner)}`]
  return [
    ...moved,
    ...renamed,
    ...owner,
    ...parentStatements(was, nowIs),
    ...droppedConstraints(was, nowIs),
    ...gone(was.indexes, nowIs.indexes).map(({ name }) => `DROP INDEX ${qualified(nowIs.schema, name)}`),
    ...columnStatements(was, nowIs),
    ...addedConstraints(was, nowIs),
    ...addedIndexes(was, nowIs),
    ...identityStatements(was, nowIs),
    ...grantStatements(was, nowIs),
  ]
}

/** The server writes definitions with today's names: one that only follows a renaming is none that changed. */
function underNewNames(was: TableDescription, nowIs: TableDescription): TableDescription {
  const names = new Map<string, string>()
  for (const column of nowIs.columns) {
    const old = was.columns.find(({ num }) => num === column.num)
    if (old && old.name !== column.name) names.set(old.name, column.name)
  }
  const isMoved = was.schema !== nowIs.schema || was.name !== nowIs.name
  if (names.size === 0 && !isMoved) return was
  const rename = <D extends Defined>(defined: D): D => {
    const def = defined.def.replaceAll(/"(?:[^"]|"")+"|[a-z_][a-z0-9_$]*/g, (token) => {
      const name = names.get(token.startsWith('"') ? token.slice(1, -1).replaceAll('""', '"') : token)
      return name === undefined ? token : asWritten(name)
    })
    const places = [was, nowIs].map(({ schema, name }) => ` ${asWritten(schema)}.${asWritten(name)} `) as [
      string,
      string,
    ]
    return { ...defined, def: isMoved ? def.replace(places[0], places[1]) : def }
  }
  return { ...was, constraints: was.constraints.map(rename), indexes: was.indexes.map(rename) }
}

function asWritten(name: string): string {
  return /^[a-z_][a-z0-9_$]*$/.test(name) ? name : ident(name)
}

function parentStatements(was: TableDescription, nowIs: TableDescription): string[] {
  const table = tableOf(nowIs)
  const left = was.parents.filter((parent) => !nowIs.parents.includes(parent))
  const joined = nowIs.parents.filter((parent) => !was.parents.includes(parent))
  return [
    ...left.map((parent) =>
      was.bound === null
        ? `ALTER TABLE ${table} NO INHERIT ${parent}`
        : `ALTER TABLE ${parent} DETACH PARTITION ${table}`,
    ),
    ...joined.map((parent) =>
      nowIs.bound === null
        ? `ALTER TABLE ${table} INHERIT ${parent}`
        : `ALTER TABLE ${parent} ATTACH PARTITION ${table} ${nowIs.bound}`,
    ),
  ]
}

function columnStatements(was: TableDescription, nowIs: TableDescription): string[] {
  const before = new Map(was.columns.map((column) => [column.num, column]))
  const after = new Set(nowIs.columns.map((column) => column.num))
  const alter = `ALTER TABLE ${tableOf(nowIs)}`
  const dropped = was.columns.filter((column) => !after.has(column.num) && column.isLocal)
  return [
    ...dropped.map((column) => `${alter} DROP COLUMN ${ident(column.name)}`),
    ...nowIs.columns.flatMap((column) => {
      const old = before.get(column.num)
      if (old) return changedColumn(alter, old, column)
      return column.isLocal ? addedColumn(alter, nowIs, column) : []
    }),
  ]
}

/** Rows that were there before get what the source gave them, not what the expression is worth now. */
function addedColumn(alter: string, table: TableDescription, column: ColumnDescription): string[] {
  const first = column.hasMissing ? { ...column, default: `${literal(column.missing ?? '')}::${column.type}` } : column
  const add = `${alter} ADD COLUMN ${columnDefinition(first, identityOf(table, column))}`
  if (!column.hasMissing) return [add]
  return [add, `${alter} ALTER COLUMN ${ident(column.name)} ${setDefault(column.default)}`]
}

function changedColumn(alter: string, was: ColumnDescription, nowIs: ColumnDescription): string[] {
  if (
    was.generated !== nowIs.generated ||
    was.identity !== nowIs.identity ||
    (nowIs.generated && was.default !== nowIs.default)
  ) {
    throw new NotCarried(`what computes column ${nowIs.name} was changed`)
  }
  const name = ident(nowIs.name)
  const statements: string[] = []
  if (was.name !== nowIs.name) statements.push(`${alter} RENAME COLUMN ${ident(was.name)} TO ${name}`)
  if (was.type !== nowIs.type || was.collation !== nowIs.collation) {
    statements.push(`${alter} ALTER COLUMN ${name} TYPE ${nowIs.type}${collate(nowIs)}`)
  }
  if (was.default !== nowIs.default) statements.push(`${alter} ALTER COLUMN ${name} ${setDefault(nowIs.default)}`)
  if (was.notNull !== nowIs.notNull)
    statements.push(`${alter} ALTER COLUMN ${name} ${nowIs.notNull ? 'SET' : 'DROP'} NOT NULL`)
  return statements
}

function columnDefinition(column: ColumnDescription, identity: SequenceDescription | undefined): string {
  const parts = [ident(column.name), `${column.type}${collate(column)}`]
  if (column.generated) parts.push(`GENERATED ALWAYS AS (${column.default}) STORED`)
  else if (column.default !== null) parts.push(`DEFAULT ${column.default}`)
  if (identity) {
    const always = column.identity === 'a' ? 'ALWAYS' : 'BY DEFAULT'
    // An identity has the type of its column.
    const options = identity.options.replace(/^AS \S+ /, '')
    parts.push(
      `GENERATED ${always} AS IDENTITY (SEQUENCE NAME ${qualified(identity.schema, identity.name)} ${options})`,
    )
  }
  if (column.notNull) parts.push('NOT NULL')
  return parts.join(' ')
}

function identityOf(table: TableDescription, column: ColumnDescription): SequenceDescription | undefined {
  return table.sequences.find((sequence) => sequence.isIdentity && sequence.column === column.name)
}

function droppedConstraints(was: TableDescription, nowIs: TableDescription): string[] {
  const alter = `ALTER TABLE ${tableOf(nowIs)}`
  const now = new Map(nowIs.constraints.map((constraint) => [constraint.name, constraint.def]))
  const dropped = gone(was.constraints, nowIs.constraints).filter(
    ({ name, def, isLocal }) => isLocal && `${now.get(name)} NOT VALID` !== def && !renamedTo(was, nowIs, def),
  )
  return dropped.map(({ name }) => `${alter} DROP CONSTRAINT IF EXISTS ${ident(name)}`)
}

/** The new name of a constraint that is the same but for its name: others may depend on it, so it is not made anew. */
function renamedTo(
  was: TableDescription,
  nowIs: TableDescription,
  def: string,
): { from: string; to: string } | undefined {
  const [left, ...others] = gone(was.constraints, nowIs.constraints).filter((constraint) => constraint.def === def)
  const [come, ...more] = gone(nowIs.constraints, was.constraints).filter((constraint) => constraint.def === def)
  const isKept = !left || !come || nowIs.constraints.some(({ name }) => name === left.name)
  return isKept || others.length > 0 || more.length > 0 ? undefined : { from: left.name, to: come.name }
}

function addedConstraints(was: TableDescription, nowIs: TableDescription): string[] {
  const before = new Map(was.constraints.map((constraint) => [constraint.name, constraint]))
  const alter = `ALTER TABLE ${tableOf(nowIs)}`
  const added = gone(nowIs.constraints, was.constraints).filter((constraint) => constraint.isLocal)
  return added.map(({ name, def }) => {
    const renamed = renamedTo(was, nowIs, def)
    if (renamed) return `${alter} RENAME CONSTRAINT ${ident(renamed.from)} TO ${ident(renamed.to)}`
    const isValidated = before.get(name)?.def === `${def} NOT VALID`
    return isValidated ? `${alter} VALIDATE CONSTRAINT ${ident(name)}` : `${alter} ADD CONSTRAINT ${ident(name)} ${def}`
  })
}

/** The server writes the index of a partitioned table as one of that table ONLY. */
function addedIndexes(was: TableDescription, nowIs: TableDescription): string[] {
  return gone(nowIs.indexes, was.indexes).map(({ def }) => {
    // A load whose end was interrupted may have built it already, from the source as it was by then.
    const once = def.replace(/^CREATE (UNIQUE )?INDEX /, 'CREATE $1INDEX IF NOT EXISTS ')
    return nowIs.kind === 'p' ? once.replace(' ON ONLY ', ' ON ') : once
  })
}

function identityStatements(was: TableDescription, nowIs: TableDescription): string[] {
  if (was.identity === nowIs.identity && was.identityIndex === nowIs.identityIndex) return []
  const index = nowIs.identityIndex === null ? 'DEFAULT' : `USING INDEX ${ident(nowIs.identityIndex)}`
  const identity = { d: 'DEFAULT', i: index, f: 'FULL', n: 'NOTHING' }[nowIs.identity]
  return [`ALTER TABLE ${tableOf(nowIs)} REPLICA IDENTITY ${identity}`]
}

function grantStatements(was: TableDescription, nowIs: TableDescription): string[] {
  const on = (grant: string) => grant.replace(' TO ', ` ON ${tableOf(nowIs)} TO `)
  const taken = was.grants.filter((grant) => !nowIs.grants.includes(grant))
  const given = nowIs.grants.filter((grant) => !was.grants.includes(grant))
  const revoke = (grant: string) =>
    on(grant)
      .replace(' TO ', ' FROM ')
      .replace(/ WITH GRANT OPTION$/, '')
  return [...taken.map((grant) => `REVOKE ${revoke(grant)}`), ...given.map((grant) => `GRANT ${on(grant)}`)]
}

interface Defined {
  readonly name: string
  readonly def: string
}

/** Those of `these` that are not the same in `those`. */
function gone<D extends Defined>(these: readonly D[], those: readonly D[]): D[] {
  const left = new Map(those.map((each) => [each.name, each.def]))
  return these.filter((each) => left.get(each.name) !== each.def)
}

function collate({ collation }: ColumnDescription): string {
  return collation === null ? '' : ` COLLATE ${collation}`
}

function setDefault(expression: string | null): string {
  return expression === null ? 'DROP DEFAULT' : `SET DEFAULT ${expression}`
}

function tableOf({ schema, name }: TableDescription): string {
  return qualified(schema, name)
}

function labelOf({ schema, name }: TableDescription): string {
  return `${schema}.${name}`
}
