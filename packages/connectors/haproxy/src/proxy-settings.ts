/**
 * What of HAProxy's configuration decides how a backend holds and lets go: its timeouts, retries and balance, with the
 * defaults that it takes them from (configuration manual, sections 2 and 4). Everything else stays where it is.
 */

/** Of two words where the second says which. */
const copied: readonly RegExp[] = [
  /^(balance|hash-type|retries|retry-on|fullconn|http-reuse)\s/,
  /^timeout\s/,
  /^(no\s+)?option\s+(redispatch|httpclose|http-server-close|http-keep-alive|prefer-last-server|persist|abortonclose)\b/,
]

interface Section {
  readonly kind: string
  readonly name: string
  /** The defaults that it names. */
  readonly from: string | null
  readonly lines: readonly string[]
}

/** Lines for a section of the same kind; undefined where the file has no such backend. */
export function proxySettings(file: string, backend: string): string[] | undefined {
  const sections = sectionsOf(file)
  const at = sections.findIndex(({ kind, name }) => ['backend', 'listen'].includes(kind) && name === backend)
  const section = sections[at]
  if (!section) return undefined
  return [...defaultsOf(section, sections.slice(0, at)), ...section.lines].filter(isCopied)
}

/** Those that a section names, or else the last ones before it. */
function defaultsOf({ from }: Section, before: readonly Section[]): readonly string[] {
  const defaults = before.filter(({ kind }) => kind === 'defaults')
  const base = from === null ? defaults.at(-1) : defaults.findLast(({ name }) => name === from)
  if (!base) return []
  // Defaults take over others only where they name them.
  const above = base.from === null ? [] : defaultsOf(base, before.slice(0, before.indexOf(base)))
  return [...above, ...base.lines]
}

const sectionForm = /^(global|defaults|frontend|backend|listen|peers|resolvers|userlist|program|cache|mailers|ring)\b/

function sectionsOf(file: string): Section[] {
  const sections: (Section & { lines: string[] })[] = []
  for (const raw of file.split('\n')) {
    const line = raw.replace(/(^|\s)#.*$/, '').trim()
    if (!sectionForm.test(line)) {
      if (line !== '') sections.at(-1)?.lines.push(line)
      continue
    }
    const [kind = '', ...words] = line.split(/\s+/)
    const from = words.indexOf('from')
    sections.push({
      kind,
      name: from === 0 ? '' : (words[0] ?? ''),
      from: from < 0 ? null : (words[from + 1] ?? null),
      lines: [],
    })
  }
  return sections
}

function isCopied(line: string): boolean {
  return copied.some((form) => form.test(line))
}
