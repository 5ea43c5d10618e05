/** The statements that give a mover's account on either side what it needs, and nothing that it does not. */
import type { OpenOptions } from '@replatform/core/connector'
import type { Side } from '@replatform/core/move'
import { isCarried } from './catalog.ts'
import { type Session, withSession } from './session.ts'
import { readFacts, readMajor, type SideFacts } from './side-facts.ts'
import { ident } from './sql.ts'
import { hasFilter } from './table-filter.ts'

export interface SideGrants {
  readonly side: Side
  readonly account: string
  /** To be run by a superuser (on RDS by the master) in the database of that side, in this order. */
  readonly statements: readonly string[]
  /** What the account cannot be given, or only at a price. */
  readonly remarks: readonly string[]
}

export interface GrantsOptions extends Pick<OpenOptions, 'source' | 'target' | 'move'> {
  /** The user of each side's address unless named. */
  readonly account?: string | undefined
}

/** Reads both catalogues, by accounts that need to do no more than connect. Changes nothing. */
export async function readGrants({ source, target, move, account }: GrantsOptions): Promise<SideGrants[]> {
  const role = 'grants'
  return withSession({ endpoint: source, side: 'source', move, role }, (onSource) =>
    withSession({ endpoint: target, side: 'target', move, role }, async (onTarget) => {
      const sides = { source: await readSide(onSource, move), target: await readSide(onTarget, move) }
      const nameOf = (url: string) => account ?? decodeURIComponent(new URL(url).username)
      return [
        grantsOf({
          side: 'source',
          ...sides.source,
          of: sides.source.facts,
          account: nameOf(source.url),
          isRds: source.service === 'rds',
          hasReplica: source.replica !== undefined,
        }),
        grantsOf({
          side: 'target',
          ...sides.target,
          of: sides.source.facts,
          hasRowSecurity: sides.source.hasRowSecurity,
          tableOwners: null,
          account: nameOf(target.url),
          isRds: target.service === 'rds',
          hasReplica: target.replica !== undefined,
        }),
      ]
    }),
  )
}

interface SideReading {
  readonly facts: SideFacts
  readonly database: string
  readonly owner: string
  readonly hasRowSecurity: boolean
  /** Of a move that carries only some tables: who owns those. Then the database's door is left alone. */
  readonly tableOwners: readonly string[] | null
}

interface GrantsInput extends SideReading {
  readonly side: Side
  readonly account: string
  readonly isRds: boolean
  /** That comparisons read: its replay is held for a moment. */
  readonly hasReplica: boolean
  /** Whose owners and grantees: what is on the source will be on the target. */
  readonly of: SideFacts
}

export function grantsOf({
  side,
  account,
  isRds,
  hasReplica,
  facts,
  of,
  database,
  owner,
  hasRowSecurity,
  tableOwners,
}: GrantsInput): SideGrants {
  const to = ident(account)
  const attributes = [
    'LOGIN',
    ...(isRds ? [] : ['REPLICATION']),
    ...(hasRowSecurity && !isRds ? ['BYPASSRLS'] : []),
  ].join(' ')
  const owners = [...new Set(tableOwners ?? [owner, ...of.owners])].filter((name) => name !== account)
  const missing = [...of.neededRoles].filter(([name]) => name !== account && !facts.roles.has(name))
  const remarks: string[] = []
  const statements = [
    ...missing.map(([name, mayLogIn]) => `CREATE ROLE ${ident(name)}${mayLogIn ? ' LOGIN' : ''};`),
    facts.roles.has(account) ? `ALTER ROLE ${to} ${attributes};` : `CREATE ROLE ${to} ${attributes};`,
    ...(isRds ? [`GRANT rds_replication TO ${to};`] : []),
    `GRANT CONNECT, CREATE, TEMPORARY ON DATABASE ${ident(database)} TO ${to};`,
    ...owners.map((name) => `GRANT ${ident(name)} TO ${to};`),
    `GRANT pg_signal_backend, pg_read_all_stats TO ${to};`,
    ...(facts.major >= 15 ? [`GRANT SET ON PARAMETER session_replication_role TO ${to};`] : []),
    ...(side === 'target'
      ? [...of.ownersInPublic].map((name) => `GRANT CREATE ON SCHEMA public TO ${ident(name)};`)
      : []),
  ]
  if (!facts.roles.has(account))
    remarks.push(`Give ${account} its password with \\password ${account}: it is not printed here.`)
  if (isRds && hasRowSecurity) {
    remarks.push(
      'On RDS no account passes row-level security that is FORCEd: ALTER TABLE … NO FORCE for the time of the move.',
    )
  }
  if (facts.major < 15) {
    statements.push(isRds ? `GRANT rds_superuser TO ${to};` : `ALTER ROLE ${to} SUPERUSER;`)
    remarks.push(
      'Before PostgreSQL 15 there is no smaller right that lets the way back write without firing triggers and foreign keys.',
    )
  }
  const unwanted = owners.filter((name) => name === 'postgres' || name === 'rdsadmin')
  if (unwanted.length > 0) {
    remarks.push(
      `${unwanted.join(', ')} owns objects of the database, so that the account may become it. Give them to a role of the application to avoid that.`,
    )
  }
  if (hasReplica) {
    const functions = ['pg_wal_replay_pause()', 'pg_wal_replay_resume()']
    if (facts.major >= 14) functions.push('pg_get_wal_replay_pause_state()')
    statements.push(`GRANT EXECUTE ON FUNCTION ${functions.join(', ')} TO ${to};`)
  }
  remarks.push(`schemaChanges: carry takes event triggers, and these ${isRds ? 'rds_superuser' : 'a superuser'}.`)
  return { side, account, statements, remarks }
}

async function readSide(session: Session, move: string): Promise<SideReading> {
  await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY')
  const { rows } = await session.query(
    `SELECT current_database() AS database, pg_get_userbyid(datdba) AS owner,
       EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relrowsecurity AND c.relkind IN ('r', 'p') AND ${isCarried}) AS secured,
       CASE WHEN ${hasFilter} THEN (SELECT coalesce(json_agg(DISTINCT pg_get_userbyid(c.relowner)), '[]')
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'S') AND ${isCarried}) END AS table_owners
     FROM pg_database WHERE datname = current_database()`,
  )
  const { database, owner, secured, table_owners } = rows[0] as Record<string, string>
  const facts = await readFacts(session, await readMajor(session), move)
  const tableOwners = table_owners ? (JSON.parse(table_owners) as string[]) : null
  return { facts, database: database as string, owner: owner as string, hasRowSecurity: secured === 't', tableOwners }
}
