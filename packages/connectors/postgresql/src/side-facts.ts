import { readTables, type Table } from './catalog.ts'
import type { Session } from './session.ts'

/** What findings that need both sides, or more than a query, are made from. */
export interface SideFacts {
  readonly major: number
  readonly role: string
  readonly isSuperuser: boolean
  readonly encoding: string
  /** Provider and names as one text, to tell whether both sides sort alike. */
  readonly locale: string
  readonly tables: readonly Table[]
  /** Installed version by name. */
  readonly extensions: ReadonlyMap<string, string>
  /** Default version of what can be installed, by name. */
  readonly available: ReadonlyMap<string, string>
  /** Those that the mover's role is a member of, or that it is. */
  readonly memberOf: ReadonlySet<string>
  readonly roles: ReadonlySet<string>
  /** Owners and grantees of this database's objects, with whether they can log in. */
  readonly neededRoles: ReadonlyMap<string, boolean>
  /** Of those, the owners: whoever restores their objects must be able to act for them. */
  readonly owners: ReadonlySet<string>
  /** Owners of what lies in schema public, and who may create there: since 15 no longer everybody. */
  readonly ownersInPublic: ReadonlySet<string>
  readonly creatorsInPublic: ReadonlySet<string>
  /** Whether the role may write as replication does: without triggers and foreign keys. */
  readonly mayReplicate: boolean
  /** Whether replatform.flow knows this move. */
  readonly knowsMove: boolean
}

export async function readMajor(session: Session): Promise<number> {
  const { rows } = await session.query(`SELECT current_setting('server_version_num')::int / 10000 AS major`)
  return Number((rows[0] as { major: string }).major)
}

/** Must run inside a transaction, which it leaves as it was. */
export async function readFacts(session: Session, major: number, move: string): Promise<SideFacts> {
  const { rows } = await session.query(factsSql)
  const facts = rows[0] as Record<'role' | 'superuser' | 'encoding' | 'locale', string>
  return {
    major,
    role: facts.role,
    isSuperuser: facts.superuser === 't',
    encoding: facts.encoding,
    locale: facts.locale,
    tables: await readTables(session),
    extensions: await readPairs(session, `SELECT extname AS name, extversion AS value FROM pg_extension`),
    available: await readPairs(session, 'SELECT name, default_version AS value FROM pg_available_extensions'),
    memberOf: new Set((await readPairs(session, membershipsSql)).keys()),
    roles: new Set((await readPairs(session, `SELECT rolname AS name, '' AS value FROM pg_roles`)).keys()),
    neededRoles: new Map(
      [...(await readPairs(session, neededRolesSql))].map(([name, value]) => [name, value === 't'] as const),
    ),
    owners: new Set((await readPairs(session, ownersSql)).keys()),
    ownersInPublic: new Set(
      (await readPairs(session, namedRoles(`${relationOwners} AND n.nspname = 'public'`))).keys(),
    ),
    creatorsInPublic: new Set((await readPairs(session, creatorsSql)).keys()),
    mayReplicate: await mayReplicate(session),
    knowsMove: await knowsMove(session, move),
  }
}

const factsSql = `SELECT current_user AS role, r.rolsuper AS superuser, pg_encoding_to_char(d.encoding) AS encoding,
  concat_ws(' ', coalesce(to_jsonb(d) ->> 'datlocprovider', 'c'), d.datcollate, d.datctype,
    coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale')) AS locale
FROM pg_database d, pg_roles r WHERE d.datname = current_database() AND r.rolname = current_user`

const membershipsSql = `SELECT rolname AS name, '' AS value FROM pg_roles WHERE pg_has_role(oid, 'MEMBER')`

/** Named by an object of this database: 'o' as its owner, 'a' in its access list. */
const rolesOf = (kinds: string) => `SELECT s.refobjid FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid
  WHERE d.datname = current_database() AND s.refclassid = 'pg_authid'::regclass AND s.deptype IN (${kinds})`

/** The server keeps no dependencies on its first superuser, so owners are asked for as well. */
const relationOwners = `SELECT c.relowner FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'replatform') AND n.nspname !~ '^pg_'`

const namedRoles = (oids: string) =>
  `SELECT r.rolname AS name, r.rolcanlogin AS value FROM pg_roles r WHERE r.rolname !~ '^pg_' AND r.oid IN (${oids})`

const neededRolesSql = namedRoles(`${rolesOf(`'o', 'a'`)} UNION ${relationOwners}`)
const ownersSql = namedRoles(`${rolesOf(`'o'`)} UNION ${relationOwners}`)

const creatorsSql = `SELECT rolname AS name, '' AS value FROM pg_roles
  WHERE to_regnamespace('public') IS NULL OR has_schema_privilege(oid, 'public', 'CREATE')`

async function readPairs(session: Session, sql: string): Promise<Map<string, string>> {
  const { rows } = await session.query(sql)
  return new Map((rows as { name: string; value: string }[]).map(({ name, value }) => [name, value]))
}

/** Tried, because each service grants it in its own way. */
async function mayReplicate(session: Session): Promise<boolean> {
  await session.query('SAVEPOINT may_replicate')
  const may = await session.query('SET LOCAL session_replication_role = replica').then(
    () => true,
    () => false,
  )
  await session.query('ROLLBACK TO SAVEPOINT may_replicate')
  return may
}

async function knowsMove(session: Session, move: string): Promise<boolean> {
  const { rows } = await session.query(`SELECT to_regclass('replatform.flow') IS NOT NULL AS exists`)
  if ((rows[0] as { exists: string }).exists !== 't') return false
  const { rowCount } = await session.query('SELECT FROM replatform.flow WHERE move = $1', [move])
  return (rowCount ?? 0) > 0
}
