import { access, constants, readFile, realpath, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { ReplatformError } from '@replatform/core/errors'
import type { Finding } from '@replatform/core/finding'
import type { AdminConsole } from './admin-console.ts'
import { type ConfiguredPlace, readDatabase } from './database-line.ts'
import { describeAddress, findDatabase, type ServedDatabase, sessionPools } from './served-database.ts'

export interface AssessmentSubject {
  readonly console: AdminConsole
  readonly database: string
  readonly configFile: string
  /** Whether clients are sent to one of the move's two sides. */
  readonly isPlace: (served: ServedDatabase) => boolean
}

/** What would make a hold or a switchover through this PgBouncer fail. Changes nothing. */
export async function assessPgbouncer(subject: AssessmentSubject): Promise<Finding[]> {
  const file = await readConfigFile(subject.configFile)
  const fileFindings = typeof file === 'string' ? await assessFile(subject, file) : [file]
  try {
    const served = await findDatabase(subject.console, subject.database)
    if (!served) return [...fileFindings, unknownDatabase(subject)]
    return [
      ...fileFindings,
      ...(await assessPooling(subject, served)),
      ...assessAddress(subject, served, typeof file === 'string' ? file : ''),
    ]
  } catch (error) {
    if (error instanceof ReplatformError) return [...fileFindings, unreachable(error)]
    throw error
  }
}

async function readConfigFile(path: string): Promise<string | Finding> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    return notWritable(path, error)
  }
}

async function assessFile({ configFile, database }: AssessmentSubject, file: string): Promise<Finding[]> {
  const findings: Finding[] = []
  try {
    const target = await realpath(configFile)
    await access(target, constants.W_OK)
    await access(dirname(target), constants.W_OK)
    const { uid } = await stat(target)
    const self = process.geteuid?.() ?? 0
    if (self !== 0 && uid !== self) throw new Error(`it belongs to user ${uid}`)
  } catch (error) {
    findings.push(notWritable(configFile, error))
  }
  const lines = readDatabase(file, database).length
  if (lines !== 1) {
    findings.push({
      id: 'pgbouncer.config-without-database',
      severity: 'blocker',
      title: `${configFile} names the database ${database} ${lines === 0 ? 'nowhere' : `${lines} times`}, so it cannot be pointed elsewhere.`,
      evidence: [],
      remedy: `Give ${database} exactly one line of its own in the [databases] section, then RELOAD.`,
    })
  }
  return findings
}

async function assessPooling(subject: AssessmentSubject, served: ServedDatabase): Promise<Finding[]> {
  const pools = await sessionPools(subject.console, served)
  if (pools.length === 0) return []
  return [
    {
      id: 'pgbouncer.session-pooling',
      severity: 'blocker',
      title: `PgBouncer pools sessions for ${served.name}: PAUSE would wait until every client has left.`,
      evidence: pools,
      remedy: `Set pool_mode = transaction for ${served.name} (the application must not rely on session state), then RELOAD.`,
    },
  ]
}

function assessAddress({ database, isPlace }: AssessmentSubject, served: ServedDatabase, file: string): Finding[] {
  const findings: Finding[] = []
  const [line, ...more] = readDatabase(file, database)
  if (line && more.length === 0 && !agrees(line, served)) {
    findings.push({
      id: 'pgbouncer.config-not-loaded',
      severity: 'risk',
      title: `PgBouncer serves ${database} from another address than its file says.`,
      evidence: [`served: ${describeAddress(served)}`, `file: ${describeAddress(line)}`],
      remedy: 'RELOAD to take the file over, or name the file that PgBouncer really reads.',
    })
  }
  if (!isPlace(served)) {
    findings.push({
      id: 'pgbouncer.points-elsewhere',
      severity: 'blocker',
      title: `PgBouncer sends the clients of ${database} to an address that is neither side of the move.`,
      evidence: [describeAddress(served)],
      remedy: 'Write host, port and database in the same way in the estate’s addresses and in PgBouncer’s file.',
    })
  }
  return findings
}

function agrees(line: ConfiguredPlace, served: ServedDatabase): boolean {
  return (
    (line.host ?? null) === served.host &&
    (line.port ?? 5432) === served.port &&
    (line.dbname ?? served.name) === served.dbname
  )
}

function unreachable(error: ReplatformError): Finding {
  return {
    id: 'pgbouncer.admin-unreachable',
    severity: 'blocker',
    title: 'PgBouncer’s admin console cannot be used.',
    evidence: [error.message],
    remedy: 'Correct the admin address; its user must stand in admin_users.',
  }
}

function unknownDatabase({ console, database }: AssessmentSubject): Finding {
  return {
    id: 'pgbouncer.unknown-database',
    severity: 'blocker',
    title: `PgBouncer at ${console.address} serves no database ${database}.`,
    evidence: [],
    remedy: 'Correct the name in the estate file, or add the database to PgBouncer’s file and RELOAD.',
  }
}

function notWritable(path: string, error: unknown): Finding {
  return {
    id: 'pgbouncer.config-not-writable',
    severity: 'blocker',
    title: `${path} cannot be replaced, so the switchover could not be made to last.`,
    evidence: [error instanceof Error ? error.message : String(error)],
    remedy: 'Run the worker on PgBouncer’s machine as the user who owns the file, with write access to its folder.',
  }
}
