/**
 * The line of one database in PgBouncer's [databases] section, read and changed in place: nothing else in the file
 * moves, whoever wrote it and however it is laid out.
 */

/** Where PgBouncer sends the clients of a database. */
export interface PgbouncerPlace {
  readonly host: string
  readonly port: number
  readonly dbname: string
  /** Only of a copy, which everybody uses as one user of the server. */
  readonly user?: string
  readonly password?: string
}

/** `undefined` where a key is left to its default. */
export interface ConfiguredPlace {
  readonly host: string | undefined
  readonly port: number | undefined
  readonly dbname: string | undefined
}

/** The addresses that the file has for a database: one a line that names it; none when it is not there. */
export function readDatabase(file: string, database: string): ConfiguredPlace[] {
  return [...databaseLines(file, database)].map((line) => {
    const found = settingsOf(line)
    const port = found.get('port')
    return {
      host: found.get('host'),
      port: port === undefined ? undefined : Number(port),
      dbname: found.get('dbname'),
    }
  })
}

/** What the line of that database says, by key; undefined where the file has none. */
export function readSettings(file: string, database: string): ReadonlyMap<string, string> | undefined {
  const [line] = databaseLines(file, database)
  return line && settingsOf(line)
}

/** The file with host, port and dbname of that database replaced; its other keys stay, as does every other line. */
export function pointDatabase(file: string, database: string, place: PgbouncerPlace): string {
  let changed = file
  // From the end, so that the offsets of the lines before stay true.
  for (const { start, settings } of [...databaseLines(file, database)].reverse()) {
    changed = changed.slice(0, start) + pointSettings(settings, place) + changed.slice(start + settings.length)
  }
  return changed
}

interface DatabaseLine {
  /** Offset of `settings` in the file. */
  readonly start: number
  /** What stands behind the equals sign. */
  readonly settings: string
}

const lineForm = /^([ \t]*("(?:[^"]|"")*"|[^\s=;#%"[]+)[ \t]*=[ \t]*)(.*?)[ \t\r]*$/
const keyAndValue = /([a-z_]+)\s*=\s*('(?:[^']|'')*'|\S*)/g

function* databaseLines(file: string, database: string): Generator<DatabaseLine> {
  // A file that is included from within the section has no header of its own.
  let inSection = true
  let offset = 0
  for (const line of file.split('\n')) {
    const section = /^\s*\[\s*(\w+)\s*\]/.exec(line)
    if (section) inSection = section[1] === 'databases'
    const [, before = '', name = '', settings = ''] = lineForm.exec(line) ?? []
    if (inSection && name !== '' && unquotedName(name) === database) yield { start: offset + before.length, settings }
    offset += line.length + 1
  }
}

function settingsOf({ settings }: DatabaseLine): Map<string, string> {
  const found = new Map<string, string>()
  for (const [, key = '', value = ''] of settings.matchAll(keyAndValue)) found.set(key, unquoted(value))
  return found
}

function pointSettings(settings: string, place: PgbouncerPlace): string {
  const wanted = new Map(Object.entries(place).map(([key, value]) => [key, `${key}=${quoted(String(value))}`]))
  const missing = new Map(wanted)
  const replaced = settings.replace(keyAndValue, (pair: string, key: string) => {
    missing.delete(key)
    return wanted.get(key) ?? pair
  })
  return [replaced, ...missing.values()].filter(Boolean).join(' ')
}

/** As a value of that line. */
export function quoted(value: string): string {
  return /^[\w.:/-]+$/.test(value) ? value : `'${value.replaceAll("'", "''")}'`
}

function unquoted(value: string): string {
  return value.startsWith("'") ? value.slice(1, -1).replaceAll("''", "'") : value
}

function unquotedName(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name
}
