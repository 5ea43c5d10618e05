/** What the rules of a user allow, worked out as the server does: one after the other. */
import type { Connection } from './connection.ts'
import type { RespValue } from './resp-reader.ts'

export interface User {
  readonly name: string
  readonly rules: readonly string[]
}

export async function readUsers(connection: Connection): Promise<User[]> {
  const list = (await connection.command('ACL', 'LIST')) as RespValue[]
  return list.map((line) => parseUser(String(line)))
}

/** `user name on #hash ~* &* +@all (selector with spaces)`. */
export function parseUser(line: string): User {
  const [, name = '', ...rules] = line.match(/\([^)]*\)|[^ ]+/g) ?? []
  return { name, rules }
}

/** The rules that say which commands a user may call, and for which keys besides. */
export function commandRules({ rules }: User): string[] {
  return rules.filter((rule) => isCommandRule(rule) || rule.startsWith('('))
}

/** Commands of this server by category; `write` and `admin` are always among them. */
export type Categories = ReadonlyMap<string, readonly string[]>

export async function readCategories(connection: Connection, users: readonly User[]): Promise<Categories> {
  const named = users.flatMap(({ rules }) =>
    rules.flatMap((rule) => [...rule.matchAll(/[+-]@(\w+)/g)].map((m) => m[1] ?? '')),
  )
  const categories = new Map<string, string[]>()
  for (const category of new Set(['write', 'admin', ...named])) {
    if (category === 'all') continue
    const commands = (await connection.command('ACL', 'CAT', category)) as RespValue[]
    categories.set(category, commands.map(String))
  }
  return categories
}

/** What a replica calls on its primary. Of the category `admin`, but it changes nothing there. */
export const replicaCommands = ['psync', 'replconf', 'sync']

/** Whether the user may call anything that writes data or changes what others may do. */
export function mayWrite({ rules }: User, categories: Categories): boolean {
  const selectors = rules.filter((rule) => rule.startsWith('(')).map((rule) => rule.slice(1, -1).split(' '))
  const dangerous = [...(categories.get('write') ?? []), ...(categories.get('admin') ?? [])]
  const writing = dangerous.filter((command) => !replicaCommands.includes(command))
  return [rules, ...selectors].some((each) => allowedOf(writing, each, categories).size > 0)
}

/** Those of the commands that a replica calls on its primary which the user may call. */
export function replicaRights({ rules }: User, categories: Categories): string[] {
  return [...allowedOf(replicaCommands, rules, categories)]
}

function allowedOf(commands: readonly string[], rules: readonly string[], categories: Categories): Set<string> {
  const allowed = new Set<string>()
  for (const rule of rules) {
    if (!isCommandRule(rule)) continue
    const named = commandsOf(rule, commands, categories)
    for (const command of named) {
      if (rule.startsWith('-') || rule === 'nocommands') allowed.delete(command)
      else allowed.add(command)
    }
  }
  return allowed
}

function commandsOf(rule: string, commands: readonly string[], categories: Categories): readonly string[] {
  if (rule === 'allcommands' || rule === 'nocommands') return commands
  const name = rule.slice(1).toLowerCase()
  if (name === '@all') return commands
  if (name.startsWith('@')) {
    const members = new Set(categories.get(name.slice(1)))
    return commands.filter((command) => members.has(command))
  }
  return commands.filter((command) => command === name || command.startsWith(`${name}|`))
}

function isCommandRule(rule: string): boolean {
  return /^[+-]/.test(rule) || rule === 'allcommands' || rule === 'nocommands'
}
