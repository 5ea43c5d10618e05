/** The grammar of haproxy.cfg: sections of lines, and words with quotes. Source: HAProxy 2.6 configuration manual, 2. */
import { type ConfigFile, linesOf, type Place, type Statement, syntaxError } from './config-text.ts'

export interface Section extends Place {
  readonly kind: string
  readonly name: string
  readonly statements: readonly Statement[]
}

const sectionKinds = [
  'global',
  'defaults',
  'frontend',
  'backend',
  'listen',
  'userlist',
  'peers',
  'resolvers',
  'mailers',
  'cache',
  'program',
  'http-errors',
  'fcgi-app',
  'ring',
  'log-forward',
  'crt-store',
  'traces',
]
const named = ['frontend', 'backend', 'listen']

/** Throws `landing-zone.config-invalid` with the line, for what HAProxy itself would not start with. */
export function parseHaproxy(config: ConfigFile): Section[] {
  const sections: (Section & { readonly statements: Statement[] })[] = []
  for (const { text, ...place } of linesOf(config)) {
    const words = wordsOf(text, place)
    const [keyword = '', name = ''] = words
    if (words.length === 0) continue
    if (sectionKinds.includes(keyword)) {
      if (named.includes(keyword) && !name) syntaxError(place, `${keyword} has no name.`)
      const twin = sections.find((one) => named.includes(keyword) && one.kind === keyword && one.name === name)
      if (twin) syntaxError(place, `${keyword} "${name}" stands on line ${twin.line} already.`)
      sections.push({ ...place, kind: keyword, name, statements: [] })
      continue
    }
    const section = sections.at(-1)
    if (!section && !keyword.startsWith('.')) syntaxError(place, `"${keyword}" stands outside of any section.`)
    section?.statements.push({ ...place, words })
  }
  return sections
}

/** Words between blanks. Backslash and double quotes may escape; single quotes take everything as it is. */
function wordsOf(text: string, place: Place): string[] {
  const words: string[] = []
  let word: string | null = null
  let quote = ''
  for (let index = 0; index < text.length; index++) {
    const char = text.charAt(index)
    if (quote === "'" ? char !== "'" : quote === '"' && char !== '"' && char !== '\\') {
      word = (word ?? '') + char
    } else if (quote && char === quote) {
      quote = ''
    } else if (char === '\\') {
      if (index + 1 >= text.length) syntaxError(place, 'the line ends in a backslash.')
      word = (word ?? '') + text.charAt(++index)
    } else if (char === '"' || char === "'") {
      quote = char
      word ??= ''
    } else if (char === '#') {
      break
    } else if (/\s/.test(char)) {
      if (word !== null) words.push(word)
      word = null
    } else {
      word = (word ?? '') + char
    }
  }
  if (quote) syntaxError(place, 'a quote is opened and not closed.')
  if (word !== null) words.push(word)
  return words
}
