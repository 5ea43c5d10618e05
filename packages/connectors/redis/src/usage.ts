/** Who uses a server, and how. */
import type { Connection } from './connection.ts'
import { parseInfo } from './server-info.ts'

/** Calls by command since the server's start, in lower case; those of a subcommand count for the command too. */
export async function readCommandCalls(connection: Connection): Promise<ReadonlyMap<string, number>> {
  const [info] = await connection.pipeline([['INFO', 'commandstats']])
  const calls = new Map<string, number>()
  for (const [name, value] of parseInfo(String(info))) {
    const command = /^cmdstat_(.+)$/.exec(name)?.[1]?.toLowerCase()
    const count = Number(/calls=(\d+)/.exec(value)?.[1] ?? 0)
    if (command === undefined || count === 0) continue
    for (const each of new Set([command, command.split('|')[0] as string])) {
      calls.set(each, (calls.get(each) ?? 0) + count)
    }
  }
  return calls
}

/** Those that the server does not know. */
export async function unknownCommands(connection: Connection, names: readonly string[]): Promise<string[]> {
  if (names.length === 0) return []
  const [infos] = await connection.pipeline([['COMMAND', 'INFO', ...names]])
  if (!Array.isArray(infos)) return []
  return names.filter((_, index) => infos[index] === null)
}

export interface ClientKind {
  /** Name and version of the library, or the name that the client gave itself. */
  readonly name: string
  readonly isLibrary: boolean
  readonly connections: number
}

/** Clients but the mover's user and replicas, the most frequent first. */
export async function readClients(connection: Connection): Promise<ClientKind[]> {
  const [list] = await connection.pipeline([['CLIENT', 'LIST']])
  const [me] = await connection.pipeline([['ACL', 'WHOAMI']])
  const kinds = new Map<string, ClientKind>()
  for (const line of String(list).split('\n')) {
    const fields = new Map(line.split(' ').map((field) => field.split('=', 2) as [string, string]))
    const isOurs = fields.get('user') !== undefined && fields.get('user') === String(me)
    if (!fields.has('addr') || isOurs || /[SMO]/.test(fields.get('flags') ?? '')) continue
    const library = fields.get('lib-name') ?? ''
    const version = fields.get('lib-ver') ?? ''
    const name = library === '' ? (fields.get('name') ?? '') : `${library} ${version}`.trim()
    const known = kinds.get(name)
    kinds.set(name, { name, isLibrary: library !== '', connections: (known?.connections ?? 0) + 1 })
  }
  return [...kinds.values()].sort((a, b) => b.connections - a.connections)
}
