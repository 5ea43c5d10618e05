/**
 * What one look into one side's catalogue tells. Each query returns rows of `item` (a name or a figure, shown as
 * evidence) and, where there is one, `fix` (the statement that mends just that item); no row, no finding.
 */

import type { Finding } from '@replatform/core/finding'
import type { Side } from '@replatform/core/move'
import { isCarried, notOfExtension } from './catalog.ts'
import { crossingForeignKeys, crossingTriggers, leftBehind, splitTables } from './filter-crossing.ts'
import { hasFilter } from './table-filter.ts'

export interface CatalogCheck extends Pick<Finding, 'id' | 'severity'> {
  readonly on: readonly Side[]
  readonly sql: string
  readonly title: (count: number, side: Side) => string
  /** Follows the statements of the items, or stands alone. */
  readonly remedy: string
}

const relations = `pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace`
const label = `format('%s.%s', n.nspname, c.relname)`
const database = `(SELECT * FROM pg_database WHERE datname = current_database()) AS d`
const isSuperuser = `(SELECT rolsuper FROM pg_roles WHERE rolname = current_user)`
const identityIndex = `CASE c.relreplident WHEN 'i' THEN i.indisreplident ELSE i.indisprimary END`
const isReplatform = `starts_with(application_name, 'replatform ')`

/** Nothing crosses an edge where there is none. */
const whereFiltered = (sql: string) => `SELECT item FROM (${sql}) AS crossing WHERE ${hasFilter}`

/** Of a move that carries only some of the tables. */
const filterChecks: readonly CatalogCheck[] = [
  {
    id: 'postgresql.filter-splits',
    severity: 'blocker',
    on: ['source'],
    sql: whereFiltered(splitTables),
    title: (count) =>
      `${count} ${count === 1 ? 'table that moves is a partition of, or made from,' : 'tables that move are partitions of, or made from,'} what stays.`,
    remedy: 'Let both move, or both stay: change `tables` of the store in the estate file.',
  },
  {
    id: 'postgresql.filter-crossing-foreign-key',
    severity: 'risk',
    on: ['source'],
    sql: whereFiltered(crossingForeignKeys),
    title: (count) =>
      `${count} foreign ${count === 1 ? 'key joins' : 'keys join'} a table that moves and one that stays: it is not made on the target, and rows that stay can refer to no row that comes after the cutover.`,
    remedy: 'Let both tables move, or drop the key before the cutover and let the application hold it.',
  },
  {
    id: 'postgresql.filter-crossing-trigger',
    severity: 'risk',
    on: ['source'],
    sql: whereFiltered(crossingTriggers),
    title: (count) =>
      `${count} ${count === 1 ? 'trigger function names' : 'trigger functions name'} a table on the other side of the filter; after the cutover it fails there, or finds rows that are no longer kept.`,
    remedy: 'Let both tables move, or change the function before the cutover. Only its text was looked at.',
  },
  {
    id: 'postgresql.filter-left-behind',
    severity: 'risk',
    on: ['source'],
    sql: whereFiltered(leftBehind),
    title: () => 'Views, functions or policies need a table that stays, so they are not made on the target.',
    remedy:
      'Make them there as they should be then, or let those tables move. Without its policy a table may show more or less than it should.',
  },
]

export const catalogChecks: readonly CatalogCheck[] = [
  ...filterChecks,
  {
    id: 'postgresql.deferrable-key',
    severity: 'blocker',
    on: ['source'],
    sql: `SELECT ${label} AS item, format('ALTER TABLE %s REPLICA IDENTITY FULL;', c.oid::regclass) AS fix
      FROM ${relations} JOIN pg_index i ON i.indrelid = c.oid
      WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND c.relreplident IN ('d', 'i') AND ${identityIndex}
        AND NOT i.indimmediate AND ${isCarried} AND ${notOfExtension}`,
    title: (count) => `${tables(count)} a deferrable key, by which the server identifies no row.`,
    remedy: 'Or make the constraint NOT DEFERRABLE.',
  },
  {
    id: 'postgresql.unlogged-table',
    severity: 'blocker',
    on: ['source'],
    sql: `SELECT ${label} AS item, format('ALTER TABLE %s SET LOGGED;', c.oid::regclass) AS fix
      FROM ${relations} WHERE c.relkind = 'r' AND c.relpersistence = 'u' AND ${isCarried} AND ${notOfExtension}`,
    title: (count) =>
      `${count} ${count === 1 ? 'table is' : 'tables are'} unlogged: its changes are in no change stream, so it would stay empty.`,
    remedy: 'Or drop what is only a cache.',
  },
  {
    id: 'postgresql.large-objects',
    severity: 'blocker',
    on: ['source'],
    sql: `SELECT count(*) || ' large objects' AS item FROM pg_largeobject_metadata HAVING count(*) > 0`,
    title: () => 'Large objects are in no change stream.',
    remedy: 'Move them into a bytea column, or remove those that nobody refers to with vacuumlo.',
  },
  {
    id: 'postgresql.identity-full',
    severity: 'risk',
    on: ['source'],
    sql: `SELECT ${label} AS item FROM ${relations}
      WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND c.relreplident = 'f' AND ${isCarried} AND ${notOfExtension}`,
    title: (count) =>
      `${tables(count)} REPLICA IDENTITY FULL: each update or delete looks for its row by all columns, and those without a key are compared whole inside the pause.`,
    remedy: 'Fine for tables that are small or only grow; give the others a primary key.',
  },
  {
    id: 'postgresql.row-security',
    severity: 'blocker',
    on: ['source', 'target'],
    sql: `SELECT ${label} AS item, format('ALTER ROLE %I BYPASSRLS;', current_user) AS fix FROM ${relations}
      WHERE c.relkind IN ('r', 'p') AND c.relrowsecurity AND row_security_active(c.oid) AND ${isCarried}`,
    title: (count, side) =>
      `Row-level security of ${count} ${count === 1 ? 'table' : 'tables'} hides rows of the ${side} from the mover's role.`,
    remedy: '',
  },
  {
    id: 'postgresql.always-trigger',
    severity: 'risk',
    on: ['source'],
    sql: `SELECT format('%s on %s.%s', t.tgname, n.nspname, c.relname) AS item
      FROM ${relations} JOIN pg_trigger t ON t.tgrelid = c.oid
      WHERE t.tgenabled IN ('A', 'R') AND NOT t.tgisinternal AND t.tgname <> 'replatform_fence' AND ${isCarried}`,
    title: (count) =>
      `${count} ${count === 1 ? 'trigger fires' : 'triggers fire'} also for rows that replication brings.`,
    remedy:
      'Make sure that it does nothing twice, or ALTER TABLE … ENABLE TRIGGER (the ordinary mode) until the cutover.',
  },
  {
    id: 'postgresql.prepared-transaction',
    severity: 'risk',
    on: ['source'],
    sql: `SELECT 'by ' || owner || ' since ' || date_trunc('second', prepared) AS item FROM pg_prepared_xacts
      WHERE database = current_database()`,
    title: (count) =>
      `${count} prepared ${count === 1 ? 'transaction is' : 'transactions are'} open; a cutover refuses to begin with one.`,
    remedy: 'COMMIT PREPARED or ROLLBACK PREPARED; see pg_prepared_xacts.',
  },
  {
    id: 'postgresql.prepared-transactions-possible',
    severity: 'note',
    on: ['source'],
    sql: `SELECT 'max_prepared_transactions = ' || current_setting('max_prepared_transactions') AS item
      WHERE current_setting('max_prepared_transactions')::int > 0`,
    title: () => 'Applications may prepare transactions; one that is open at the cutover aborts it.',
    remedy: 'Nothing, unless a transaction manager runs here: stop it before the cutover.',
  },
  {
    id: 'postgresql.wal-level',
    severity: 'blocker',
    on: ['source'],
    sql: `SELECT 'wal_level = ' || current_setting('wal_level') AS item WHERE current_setting('wal_level') <> 'logical'`,
    title: () => 'The source writes no logical change stream.',
    remedy: `ALTER SYSTEM SET wal_level = 'logical'; then restart the server (on RDS: rds.logical_replication = 1).`,
  },
  {
    id: 'postgresql.target-wal-level',
    severity: 'blocker',
    on: ['target'],
    sql: `SELECT 'wal_level = ' || current_setting('wal_level') AS item WHERE current_setting('wal_level') <> 'logical'`,
    title: () => 'The target writes no logical change stream, so there would be no way back after the cutover.',
    remedy: `Set rds.logical_replication = 1 in the parameter group and reboot (elsewhere: ALTER SYSTEM SET wal_level = 'logical').`,
  },
  {
    id: 'postgresql.no-free-slot',
    severity: 'blocker',
    on: ['source', 'target'],
    sql: `SELECT format('%s of %s used', count(*), current_setting('max_replication_slots')) AS item FROM pg_replication_slots
      WHERE NOT starts_with(slot_name, 'replatform_') HAVING count(*) + 2 > current_setting('max_replication_slots')::int`,
    title: (_, side) => `The ${side} has no two free replication slots: one for the stream, one for comparisons.`,
    remedy:
      'Drop slots that nobody uses (SELECT pg_drop_replication_slot(…)), or raise max_replication_slots and restart.',
  },
  {
    id: 'postgresql.no-free-wal-sender',
    severity: 'blocker',
    on: ['source', 'target'],
    sql: `SELECT format('%s of %s used', count(*), current_setting('max_wal_senders')) AS item FROM pg_stat_replication
      WHERE NOT ${isReplatform} HAVING count(*) + 2 > current_setting('max_wal_senders')::int`,
    title: (_, side) => `The ${side} has no two free WAL senders: one for the stream, one for comparisons.`,
    remedy: 'Raise max_wal_senders and restart.',
  },
  {
    id: 'postgresql.slot-limit',
    severity: 'risk',
    on: ['source'],
    sql: `SELECT 'max_slot_wal_keep_size = ' || current_setting('max_slot_wal_keep_size') AS item
      WHERE current_setting('max_slot_wal_keep_size', true) <> '-1'`,
    title: () => 'A move that stands still for long loses its change stream when the log passes the limit.',
    remedy: 'Make it larger than the log of the longest pause that you expect.',
  },
  {
    id: 'postgresql.sender-timeout',
    severity: 'risk',
    on: ['source', 'target'],
    sql: `SELECT 'wal_sender_timeout = ' || setting || ' ms' AS item FROM pg_settings
      WHERE name = 'wal_sender_timeout' AND setting::int BETWEEN 1 AND 9999`,
    title: (_, side) => `The ${side} cuts a change stream that is silent for less than 10 s.`,
    remedy: `ALTER SYSTEM SET wal_sender_timeout = '60s'; SELECT pg_reload_conf();`,
  },
  {
    id: 'postgresql.in-recovery',
    severity: 'blocker',
    on: ['source', 'target'],
    sql: `SELECT 'pg_is_in_recovery()' AS item WHERE pg_is_in_recovery()`,
    title: (_, side) => `The ${side} is a standby: nothing can be written there, and no slot be made.`,
    remedy: 'Name the primary in the estate file.',
  },
  {
    id: 'postgresql.sql-ascii',
    severity: 'blocker',
    on: ['source', 'target'],
    sql: `SELECT 'encoding SQL_ASCII' AS item FROM ${database} WHERE encoding = 0`,
    title: (_, side) => `The ${side} does not know which characters its bytes stand for.`,
    remedy: 'Create a database with ENCODING UTF8 and correct the bytes that are not valid in it.',
  },
  {
    id: 'postgresql.open-transaction',
    severity: 'risk',
    on: ['source'],
    sql: `SELECT format('%s (%s, %s) in %s since %s', pid, usename, coalesce(state, 'unknown'), datname, date_trunc('second', xact_start)) AS item
      FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND NOT ${isReplatform}
        AND (xact_start < now() - interval '1 min' OR state LIKE 'idle in transaction%') ORDER BY xact_start`,
    title: (count) =>
      `${count} ${count === 1 ? 'transaction stays' : 'transactions stay'} open; the start of the change stream waits for all of the server's, in other databases too.`,
    remedy: 'End it in its application before the start.',
  },
  {
    id: 'postgresql.superuser-application',
    severity: 'blocker',
    on: ['source', 'target'],
    sql: `SELECT format('%s (%s sessions)', r.rolname, count(*)) AS item, format('ALTER ROLE %I NOSUPERUSER;', r.rolname) AS fix
      FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid
      WHERE a.datname = current_database() AND r.rolsuper AND r.oid <> 10 AND r.rolname NOT IN ('rdsadmin', current_user)
        AND coalesce(a.backend_type, 'client backend') = 'client backend' GROUP BY r.rolname ORDER BY 1`,
    title: (_, side) => `Applications work on the ${side} as superusers, whom no door keeps out.`,
    remedy: 'Grant the role what it needs instead.',
  },
  {
    id: 'postgresql.superuser-role',
    severity: 'risk',
    on: ['source', 'target'],
    sql: `SELECT r.rolname AS item FROM pg_roles r WHERE r.rolsuper AND r.rolcanlogin AND r.oid <> 10
        AND r.rolname NOT IN ('rdsadmin', current_user)
        AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.usesysid = r.oid AND a.datname = current_database())
      ORDER BY 1`,
    title: (_, side) => `Superusers besides the server's own can log in on the ${side}.`,
    remedy: 'Make sure that no application uses one at the cutover.',
  },
  {
    id: 'postgresql.mover-role-shared',
    severity: 'risk',
    on: ['source', 'target'],
    sql: `SELECT format('%s (%s)', pid, nullif(application_name, '')) AS item FROM pg_stat_activity
      WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
        AND coalesce(backend_type, 'client backend') = 'client backend' AND NOT ${isReplatform} ORDER BY pid`,
    title: (_, side) =>
      `Others use the mover's role on the ${side}; a fence has to let that role connect, and then refuses its writes.`,
    remedy: 'Give the mover a role of its own.',
  },
  {
    id: 'postgresql.missing-replication-right',
    severity: 'blocker',
    on: ['source', 'target'],
    sql: `SELECT rolname AS item, format('ALTER ROLE %I REPLICATION; -- on RDS: GRANT rds_replication TO %I;', rolname, rolname) AS fix
      FROM pg_roles r WHERE rolname = current_user AND NOT rolsuper AND NOT rolreplication
        AND NOT EXISTS (SELECT FROM pg_roles x WHERE x.rolname IN ('rds_replication', 'rds_superuser') AND pg_has_role(r.oid, x.oid, 'USAGE'))`,
    title: (_, side) =>
      side === 'source'
        ? `The mover's role may not open a change stream.`
        : `The mover's role may not open a change stream on the target: no way back.`,
    remedy: '',
  },
  {
    id: 'postgresql.missing-database-right',
    severity: 'blocker',
    on: ['source', 'target'],
    sql: `SELECT 'CREATE on the database' AS item, format('GRANT CREATE ON DATABASE %I TO %I;', d.datname, current_user) AS fix
        FROM ${database} WHERE NOT has_database_privilege(d.oid, 'CREATE')
      UNION ALL
      SELECT 'membership in the owner of the database', format('GRANT %s TO %I;', d.datdba::regrole, current_user)
        FROM ${database} WHERE NOT ${hasFilter} AND NOT pg_has_role(d.datdba, 'USAGE')
      UNION ALL
      SELECT 'pg_signal_backend', format('GRANT pg_signal_backend TO %I;', current_user)
        WHERE NOT ${isSuperuser} AND NOT pg_has_role('pg_signal_backend', 'USAGE')`,
    title: (_, side) => `The mover's role cannot publish from, or fence, the database on the ${side}.`,
    remedy: '',
  },
  {
    id: 'postgresql.missing-ownership',
    severity: 'blocker',
    on: ['source', 'target'],
    sql: `SELECT format('%s (%s)', min(${label}), c.relowner::regrole || CASE WHEN count(*) > 1 THEN ' and ' || count(*) - 1 || ' more' ELSE '' END) AS item,
        format('GRANT %s TO %I;', c.relowner::regrole, current_user) AS fix
      FROM ${relations} WHERE c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't' AND ${isCarried} AND ${notOfExtension}
        AND NOT pg_has_role(c.relowner, 'USAGE') GROUP BY c.relowner`,
    title: (_, side) =>
      `The mover's role is no member of the roles that own tables on the ${side}: it can neither publish nor fence them.`,
    remedy: '',
  },
  {
    id: 'postgresql.materialized-view',
    severity: 'risk',
    on: ['source'],
    sql: `SELECT ${label} AS item, format('REFRESH MATERIALIZED VIEW %s;', c.oid::regclass) AS fix
      FROM ${relations} WHERE c.relkind = 'm' AND ${isCarried} AND ${notOfExtension} ORDER BY 1`,
    title: (count) =>
      `${count} materialized ${count === 1 ? 'view is' : 'views are'} defined on the target, but no change stream fills it.`,
    remedy: 'Run this on the target after the cutover; a rollback leaves those of the source as they were.',
  },
  {
    id: 'postgresql.setting',
    severity: 'risk',
    on: ['source'],
    sql: `SELECT concat_ws(' in ', r.rolname, d.datname) || ': ' || split_part(setting, '=', 1) AS item,
        format('ALTER %s SET %I = %s;',
          CASE WHEN r.rolname IS NULL THEN format('DATABASE %I', d.datname)
            WHEN d.datname IS NULL THEN format('ROLE %I', r.rolname)
            ELSE format('ROLE %I IN DATABASE %I', r.rolname, d.datname) END,
          split_part(setting, '=', 1),
          -- Lists of names are kept as they were written.
          CASE WHEN setting ~ '^(search_path|temp_tablespaces|[a-z_]*preload_libraries)=' THEN substr(setting, strpos(setting, '=') + 1)
            ELSE quote_literal(substr(setting, strpos(setting, '=') + 1)) END) AS fix
      FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase LEFT JOIN pg_roles r ON r.oid = s.setrole
        CROSS JOIN LATERAL unnest(s.setconfig) AS setting
      WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
        AND r.rolname IS DISTINCT FROM current_user ORDER BY 1`,
    title: (count) =>
      `${count} ${count === 1 ? 'setting' : 'settings'} of the database or of roles would not hold on the target.`,
    remedy: 'Run this on the target, or applications may meet another isolation level, search path or timeout there.',
  },
  {
    id: 'postgresql.subscription',
    severity: 'risk',
    on: ['source', 'target'],
    sql: `SELECT s.subname AS item FROM pg_subscription s JOIN ${database} ON d.oid = s.subdbid`,
    title: (_, side) =>
      `The ${side} itself subscribes to another server; a fence disables that, and nothing carries it over.`,
    remedy: 'Create the subscription anew on the target after the cutover, from the position where this one ended.',
  },
  {
    id: 'postgresql.other-publication',
    severity: 'note',
    on: ['source'],
    sql: `SELECT pubname AS item FROM pg_publication WHERE NOT starts_with(pubname, 'replatform_') ORDER BY 1`,
    title: () => 'Publications are not carried over.',
    remedy: 'Create them on the target before the cutover for consumers that follow there.',
  },
  {
    id: 'postgresql.other-slot',
    severity: 'note',
    on: ['source'],
    sql: `SELECT slot_name || CASE WHEN active THEN '' ELSE ' (nobody reads it)' END AS item FROM pg_replication_slots
      WHERE (database IS NULL OR database = current_database()) AND NOT starts_with(slot_name, 'replatform_') ORDER BY 1`,
    title: () => 'Others read the change stream of the source; their slots stay here.',
    remedy: 'Plan where they read after the cutover. A slot that nobody reads fills the disk.',
  },
  {
    id: 'postgresql.scheduled-jobs',
    severity: 'risk',
    on: ['source'],
    sql: `SELECT name AS item FROM unnest(ARRAY['cron.job', 'pgagent.pga_job', 'timetable.task']) AS name WHERE to_regclass(name) IS NOT NULL`,
    title: () => 'The source runs jobs by itself, which write until the fence and start nowhere after the cutover.',
    remedy: 'Stop them before the cutover, and schedule them on the target afterwards.',
  },
  {
    id: 'postgresql.event-trigger',
    severity: 'note',
    on: ['source'],
    sql: `SELECT evtname AS item FROM pg_event_trigger WHERE NOT starts_with(evtname, 'replatform_') ORDER BY 1`,
    title: () => 'Event triggers are not carried over: only superusers can create them.',
    remedy: 'Create them on the target where its service permits.',
  },
  {
    id: 'postgresql.foreign-table',
    severity: 'note',
    on: ['source'],
    sql: `SELECT ${label} AS item FROM ${relations} WHERE c.relkind = 'f' AND ${isCarried} ORDER BY 1`,
    title: () => 'Foreign tables cross as definitions; their rows stay where they are.',
    remedy: 'Make sure that the target reaches those servers, and give it the user mappings.',
  },
  {
    id: 'postgresql.partitioned-table',
    severity: 'note',
    on: ['source'],
    sql: `SELECT ${label} AS item FROM ${relations} WHERE c.relkind = 'p' AND ${isCarried} ORDER BY 1`,
    title: () => 'Partitioned tables cross partition by partition.',
    remedy:
      'Those that are added or detached while the move runs are changes of the schema: see schemaChanges of the store.',
  },
  {
    id: 'postgresql.generated-column',
    severity: 'note',
    on: ['source'],
    sql: `SELECT ${label} || '.' || a.attname AS item FROM ${relations} JOIN pg_attribute a ON a.attrelid = c.oid
      WHERE c.relkind IN ('r', 'p') AND a.attgenerated <> '' AND NOT a.attisdropped AND ${isCarried} ORDER BY 1`,
    title: () => 'Generated columns are computed by the target, and compared.',
    remedy: 'Nothing.',
  },
  {
    id: 'postgresql.sequence',
    severity: 'note',
    on: ['source'],
    sql: `SELECT count(*) || ' sequences' AS item FROM ${relations} WHERE c.relkind = 'S' AND ${isCarried} HAVING count(*) > 0`,
    title: () => 'Sequences are set while both sides are fenced, at each cutover and rollback.',
    remedy: 'Nothing.',
  },
  {
    id: 'postgresql.size',
    severity: 'note',
    on: ['source'],
    sql: `SELECT pg_size_pretty(pg_database_size(current_database())) AS item`,
    title: () => 'The target needs at least this much room, and as much again of log while it is loaded.',
    remedy: 'Nothing, if it has.',
  },
]

function tables(count: number): string {
  return count === 1 ? '1 table has' : `${count} tables have`
}
