/** What a server says about itself. */
import type { Connection } from './connection.ts'
import type { RespValue } from './resp-reader.ts'

export interface ServerInfo {
  readonly product: 'Redis' | 'Valkey'
  readonly version: string
  /** Of the protocol's version that a Valkey speaks as well: 7 or 8 understand what 7 does. */
  readonly major: number
  readonly isCluster: boolean
  readonly fields: ReadonlyMap<string, string>
}

export async function readInfo(
  connection: Connection,
  ...sections: readonly string[]
): Promise<ReadonlyMap<string, string>> {
  // Servers before 7 take one section at a time.
  const answers: RespValue[] = []
  for (const section of sections) answers.push(await connection.command('INFO', section))
  return parseInfo(answers.map(String).join('\n'))
}

export async function readServer(connection: Connection): Promise<ServerInfo> {
  const fields = await readInfo(connection, 'server', 'replication', 'memory', 'stats')
  const valkey = fields.get('valkey_version')
  const version = valkey ?? fields.get('redis_version') ?? '0'
  const mode = fields.get('redis_mode') ?? fields.get('server_mode')
  return {
    product: valkey ? 'Valkey' : 'Redis',
    version,
    major: Number(version.split('.')[0]),
    isCluster: mode === 'cluster',
    fields,
  }
}

/** Keys of each database that holds any. */
export async function readKeyspace(connection: Connection): Promise<Map<number, number>> {
  const fields = await readInfo(connection, 'keyspace')
  const databases = new Map<number, number>()
  for (const [name, value] of fields) {
    const db = /^db(\d+)$/.exec(name)?.[1]
    const keys = /keys=(\d+)/.exec(value)?.[1]
    if (db !== undefined && keys !== undefined) databases.set(Number(db), Number(keys))
  }
  return new Map([...databases].sort(([a], [b]) => a - b))
}

/** Keys of all its databases. */
export async function countKeys(connection: Connection): Promise<number> {
  return [...(await readKeyspace(connection)).values()].reduce((sum, keys) => sum + keys, 0)
}

/** The name of its history; before 4.0 a server's own. */
export function historyOf({ fields }: Pick<ServerInfo, 'fields'>): string {
  return fields.get('master_replid') ?? fields.get('run_id') ?? ''
}

export async function readOffset(connection: Connection): Promise<number> {
  const fields = await readInfo(connection, 'replication')
  return offsetOf(fields)
}

export function offsetOf(fields: ReadonlyMap<string, string>): number {
  return Number(fields.get('master_repl_offset') ?? 0)
}

export function parseInfo(text: string): Map<string, string> {
  const fields = new Map<string, string>()
  for (const line of text.split(/\r?\n/)) {
    const colon = line.indexOf(':')
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1))
  }
  return fields
}
