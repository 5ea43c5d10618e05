import type { OpenOptions } from '@replatform/core/connector'
import type { TableFilter } from '@replatform/core/estate'
import { evidence, type Finding, type Severity } from '@replatform/core/finding'
import type { Side } from '@replatform/core/move'
import { readTables } from './catalog.ts'
import { type CatalogCheck, catalogChecks } from './catalog-checks.ts'
import { toolMajor } from './client-tools.ts'
import { readIdlePatterns, readStayingTables } from './filter-crossing.ts'
import {
  definitionFindings,
  encodingFindings,
  extensionFindings,
  idlePatternFinding,
  occupiedTargetFindings,
  publicSchemaFindings,
  replicationRoleFindings,
  roleFindings,
  statements,
  tableFilterFinding,
  tableFindings,
  versionFindings,
} from './findings.ts'
import { largeValueFindings } from './large-values.ts'
import { type Session, withSession } from './session.ts'
import { readFacts, readMajor } from './side-facts.ts'

export type AssessOptions = Pick<OpenOptions, 'source' | 'target' | 'move' | 'direction' | 'tools'>

/**
 * Looks at both sides, in transactions that can write nothing, and reports blockers first. What concerns an empty
 * target is asked only forward: on the way back the target is the old source. Rejects when a side cannot be reached.
 */
export async function assess(options: AssessOptions): Promise<Finding[]> {
  const { source, target, move } = options
  const role = 'assess'
  return withSession({ endpoint: source, side: 'source', move, role }, (onSource) =>
    withSession({ endpoint: target, side: 'target', move, role }, async (onTarget) => {
      const findings = await assessSides(options, onSource, onTarget)
      return findings.sort((a, b) => ranks[a.severity] - ranks[b.severity])
    }),
  )
}

const ranks: Record<Severity, number> = { blocker: 0, risk: 1, note: 2 }

async function assessSides(options: AssessOptions, source: Session, target: Session): Promise<Finding[]> {
  const { move, direction, tools } = options
  const majors = { source: await readMajor(source), target: await readMajor(target) }
  const versions = versionFindings({
    ...majors,
    pgDump: await toolMajor('pg_dump', tools),
    pgRestore: await toolMajor('pg_restore', tools),
  })
  // The catalogue of a server that is too old cannot even be asked.
  if (versions.some((finding) => finding.id === 'postgresql.version-unsupported')) return versions

  for (const session of [source, target]) await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY')
  const facts = {
    source: await readFacts(source, majors.source, move),
    target: await readFacts(target, majors.target, move),
  }
  const forward = [
    ...versions,
    ...(await filterFindings(source, options.source.tables)),
    ...extensionFindings(facts.source, facts.target),
    ...roleFindings(facts.source, facts.target),
    ...publicSchemaFindings(facts.source, facts.target),
    ...occupiedTargetFindings(facts.target),
  ]
  return [
    ...(direction === 'forward' ? forward : []),
    ...tableFindings(facts.source.tables),
    ...(await largeValueFindings(source, facts.source.tables)),
    ...encodingFindings(facts.source, facts.target),
    ...replicationRoleFindings(facts.source, facts.target),
    ...(await runChecks('source', source)),
    ...(await runChecks('target', target)),
    ...definitionFindings(await readDefinitionChanges(target, move)),
  ]
}

async function filterFindings(source: Session, filter: TableFilter | undefined): Promise<Finding[]> {
  if (!filter) return []
  const idle = await readIdlePatterns(source, filter)
  if (idle.length > 0) return [idlePatternFinding(idle)]
  return [tableFilterFinding(await readTables(source), await readStayingTables(source))]
}

async function runChecks(side: Side, session: Session): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const check of catalogChecks) {
    if (!check.on.includes(side)) continue
    const { rows } = await session.query(check.sql)
    if (rows.length > 0) findings.push(toFinding(check, side, rows as CheckRow[]))
  }
  return findings
}

/** What the move has noted so far of changes that it did not carry over. */
async function readDefinitionChanges(target: Session, move: string): Promise<string[]> {
  const { rows } = await target.query(`SELECT to_regclass('replatform.definition_change') IS NOT NULL AS exists`)
  if ((rows[0] as { exists: string }).exists !== 't') return []
  const changes = await target.query(
    `SELECT tag || ' ' || object AS item FROM replatform.definition_change WHERE move = $1 AND outcome <> 'carried'
     GROUP BY 1 ORDER BY min(position)`,
    [move],
  )
  return (changes.rows as { item: string }[]).map(({ item }) => item)
}

interface CheckRow {
  readonly item: string
  readonly fix?: string | null
}

function toFinding({ id, severity, title, remedy }: CatalogCheck, side: Side, rows: readonly CheckRow[]): Finding {
  return {
    id,
    severity,
    title: title(rows.length, side),
    evidence: evidence(rows.map((row) => row.item)),
    remedy: statements([...new Set(rows.flatMap((row) => row.fix ?? []))], remedy),
  }
}
