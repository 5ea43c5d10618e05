/** Findings that take both sides, the shape of tables, or the programs of this machine. Pure: facts in, findings out. */
import { evidence, type Finding } from '@replatform/core/finding'
import type { Table } from './catalog.ts'
import type { SideFacts } from './side-facts.ts'
import { ident } from './sql.ts'

/** Earlier ones lack what the catalogue is asked for (generated columns came with 12). */
const oldestMajor = 12

export interface Versions {
  readonly source: number
  readonly target: number
  /** Undefined where there is none. */
  readonly pgDump: number | undefined
  readonly pgRestore: number | undefined
}

export function versionFindings({ source, target, pgDump, pgRestore }: Versions): Finding[] {
  const findings: Finding[] = []
  for (const [side, major] of [
    ['source', source],
    ['target', target],
  ] as const) {
    if (major >= oldestMajor) continue
    findings.push({
      id: 'postgresql.version-unsupported',
      severity: 'blocker',
      title: `The ${side} is older than PostgreSQL ${oldestMajor}.`,
      evidence: [`PostgreSQL ${major}`],
      remedy: `Upgrade it to ${oldestMajor} or later with pg_upgrade first.`,
    })
  }
  if (target < source) {
    findings.push({
      id: 'postgresql.target-older',
      severity: 'blocker',
      title: 'The target is of an older major version than the source.',
      evidence: [`source ${source}, target ${target}`],
      remedy: `Create the target with PostgreSQL ${source} or later.`,
    })
  }
  return [...findings, ...toolFindings({ source, target, pgDump, pgRestore })]
}

function toolFindings({ source, target, pgDump, pgRestore }: Versions): Finding[] {
  const install = `Install postgresql-client-${Math.max(source, target)} and name its programs in the estate file under tools.`
  const missing = [...(pgDump === undefined ? ['pg_dump'] : []), ...(pgRestore === undefined ? ['pg_restore'] : [])]
  if (missing.length > 0) {
    const title = 'Programs that carry the schema are not on this machine.'
    return [{ id: 'postgresql.tool-missing', severity: 'blocker', title, evidence: missing, remedy: install }]
  }
  const seen = [`pg_dump ${pgDump}, pg_restore ${pgRestore}, source ${source}, target ${target}`]
  if ((pgDump ?? 0) < source || (pgRestore ?? 0) < (pgDump ?? 0)) {
    const title = 'pg_dump is older than the source, or pg_restore than pg_dump.'
    return [{ id: 'postgresql.tool-too-old', severity: 'blocker', title, evidence: seen, remedy: install }]
  }
  if ((pgDump ?? 0) >= target) return []
  const title = 'pg_dump is older than the target: it may write what the target understands differently.'
  return [{ id: 'postgresql.tool-older-than-target', severity: 'risk', title, evidence: seen, remedy: install }]
}

export function tableFindings(tables: readonly Table[]): Finding[] {
  const keyless = tables.filter((table) => !table.isUnlogged && table.key.length === 0 && table.identity !== 'full')
  const asText = tables.flatMap((table) =>
    table.columns.filter((column) => column.needsText).map((column) => `${table.label}.${column.name} ${column.type}`),
  )
  const findings: Finding[] = []
  if (keyless.length > 0) {
    findings.push({
      id: 'postgresql.table-without-key',
      severity: 'blocker',
      title: `${keyless.length} of ${tables.length} tables have no key: published, they would refuse every UPDATE and DELETE.`,
      evidence: evidence(keyless.map((table) => table.label)),
      remedy: statements(
        keyless.map((table) => `ALTER TABLE ${table.qualified} REPLICA IDENTITY FULL;`),
        'Or, better where rows change often, add a primary key.',
      ),
    })
  }
  if (asText.length > 0) {
    findings.push({
      id: 'postgresql.copied-as-text',
      severity: 'note',
      title: `${asText.length} columns cannot cross in binary form, so their tables are copied as text.`,
      evidence: evidence(asText),
      remedy: 'Nothing; the copy of these tables is slower.',
    })
  }
  return findings
}

export function idlePatternFinding(patterns: readonly string[]): Finding {
  return {
    id: 'postgresql.filter-matches-nothing',
    severity: 'blocker',
    title: `${patterns.length} of the patterns in tables fit no table of the source.`,
    evidence: evidence(patterns),
    remedy: 'Correct them in the estate file; names are matched as they are written, capitals included.',
  }
}

export function tableFilterFinding(moving: readonly Table[], staying: readonly string[]): Finding {
  return {
    id: 'postgresql.filter',
    severity: 'note',
    title: `${moving.length} tables move, ${staying.length} stay on the source.`,
    evidence: evidence(staying.map((label) => `stays: ${label}`)),
    remedy: 'Nothing, if these are to stay. The fence, too, closes only the tables that move.',
  }
}

export function definitionFindings(changes: readonly string[]): Finding[] {
  if (changes.length === 0) return []
  return [
    {
      id: 'postgresql.schema-change-not-carried',
      severity: 'risk',
      title: `${changes.length} changes of the schema were made on the source since the move began, and are not on the target.`,
      evidence: evidence(changes),
      remedy: 'Run the same statements on the target after the cutover, or start again with an empty target before it.',
    },
  ]
}

export function encodingFindings(source: SideFacts, target: SideFacts): Finding[] {
  const findings: Finding[] = []
  if (source.encoding !== target.encoding) {
    findings.push({
      id: 'postgresql.encoding-differs',
      severity: 'blocker',
      title: 'Source and target store characters in different encodings.',
      evidence: [`source ${source.encoding}, target ${target.encoding}`],
      remedy: `CREATE DATABASE … TEMPLATE template0 ENCODING '${source.encoding}' on the target.`,
    })
  }
  if (source.locale !== target.locale || source.major !== target.major) {
    findings.push({
      id: 'postgresql.locale-differs',
      severity: 'note',
      title: 'Text may sort differently on the target; its indexes are built there, so they are right.',
      evidence: [`source ${source.major}: ${source.locale}`, `target ${target.major}: ${target.locale}`],
      remedy: 'Check what relies on an order of text: range partitions, ORDER BY across both sides.',
    })
  }
  return findings
}

export function extensionFindings(source: SideFacts, target: SideFacts): Finding[] {
  const installed = [...source.extensions].filter(([name]) => name !== 'plpgsql')
  const missing = installed.filter(([name]) => !target.available.has(name))
  const older = installed.filter(([name, version]) => isOlder(target.available.get(name), version))
  const findings: Finding[] = []
  if (missing.length > 0) {
    findings.push({
      id: 'postgresql.extension-missing',
      severity: 'blocker',
      title: 'Extensions of the source are not to be had on the target.',
      evidence: evidence(missing.map(([name, version]) => `${name} ${version}`)),
      remedy: statements(
        missing.map(([name]) => `DROP EXTENSION ${ident(name)};`),
        'On the source, where nothing uses it; otherwise choose a target that offers it.',
      ),
    })
  }
  if (older.length > 0) {
    findings.push({
      id: 'postgresql.extension-older',
      severity: 'blocker',
      title: 'The target offers only older versions of extensions.',
      evidence: evidence(older.map(([name, version]) => `${name} ${version}, target ${target.available.get(name)}`)),
      remedy: 'Choose a newer minor version of the target, or make sure that nothing uses what is new.',
    })
  }
  return findings
}

/** `1.10` is newer than `1.9`; what is no number compares as equal. */
function isOlder(offered: string | undefined, wanted: string): boolean {
  if (offered === undefined) return false
  const [a, b] = [offered, wanted].map((version) => version.split('.').map(Number)) as [number[], number[]]
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0)
    if (Number.isNaN(difference)) return false
    if (difference !== 0) return difference < 0
  }
  return false
}

export function roleFindings(source: SideFacts, target: SideFacts): Finding[] {
  const needed = [...source.neededRoles]
  const missing = needed.filter(([name]) => !target.roles.has(name))
  const isForeign = (name: string) => target.roles.has(name) && !target.isSuperuser && !target.memberOf.has(name)
  const foreign = needed.filter(([name]) => source.owners.has(name) && isForeign(name))
  const findings: Finding[] = []
  if (missing.length > 0) {
    findings.push({
      id: 'postgresql.role-missing',
      severity: 'blocker',
      title: `${missing.length} roles that own or are granted objects do not exist on the target.`,
      evidence: evidence(missing.map(([name]) => name)),
      remedy: statements(
        missing.map(([name, mayLogIn]) => {
          const grant = target.isSuperuser ? '' : ` GRANT ${ident(name)} TO ${ident(target.role)};`
          return `CREATE ROLE ${ident(name)}${mayLogIn ? ' LOGIN' : ''};${grant}`
        }),
        'On the target; then give those that log in a password.',
      ),
    })
  }
  if (foreign.length > 0) {
    findings.push({
      id: 'postgresql.role-not-granted',
      severity: 'blocker',
      title: `The mover's role on the target is no member of ${foreign.length} roles that will own objects there.`,
      evidence: evidence(foreign.map(([name]) => name)),
      remedy: statements(foreign.map(([name]) => `GRANT ${ident(name)} TO ${ident(target.role)};`)),
    })
  }
  return findings
}

/** pg_restore creates objects as their owner where the mover is no superuser. */
export function publicSchemaFindings(source: SideFacts, target: SideFacts): Finding[] {
  const lacking = [...source.ownersInPublic].filter(
    (name) => target.roles.has(name) && !target.isSuperuser && !target.creatorsInPublic.has(name),
  )
  if (lacking.length === 0) return []
  return [
    {
      id: 'postgresql.missing-schema-right',
      severity: 'blocker',
      title: `${lacking.length} owners of objects in schema public may not create anything there on the target.`,
      evidence: evidence(lacking),
      remedy: statements(lacking.map((name) => `GRANT CREATE ON SCHEMA public TO ${ident(name)};`)),
    },
  ]
}

/** Each side is written by replication at some time: the target by the move, the source by the way back. */
export function replicationRoleFindings(source: SideFacts, target: SideFacts): Finding[] {
  const lacking = (
    [
      ['source', source],
      ['target', target],
    ] as const
  ).filter(([, facts]) => !facts.mayReplicate)
  return lacking.map(([side, facts]) => ({
    id: 'postgresql.missing-replication-role-right',
    severity: 'blocker',
    title: `The mover's role may not write on the ${side} without firing triggers and foreign keys.`,
    evidence: [facts.role],
    remedy:
      facts.major >= 15
        ? `GRANT SET ON PARAMETER session_replication_role TO ${ident(facts.role)};`
        : `ALTER ROLE ${ident(facts.role)} SUPERUSER; -- before 15 there is no smaller right; on RDS: GRANT rds_superuser TO ${ident(facts.role)};`,
  }))
}

export function occupiedTargetFindings(target: SideFacts): Finding[] {
  if (target.knowsMove || target.tables.length === 0) return []
  return [
    {
      id: 'postgresql.target-not-empty',
      severity: 'blocker',
      title: `The target holds ${target.tables.length} tables that this move did not create.`,
      evidence: evidence(target.tables.map((table) => table.label)),
      remedy: 'Name an empty database, or empty this one yourself: Replatform never drops what it did not make.',
    },
  ]
}

/** Statements of a screenful, then a sentence. */
export function statements(lines: readonly string[], sentence = ''): string {
  return [...evidence(lines), sentence].filter((line) => line !== '').join('\n')
}
