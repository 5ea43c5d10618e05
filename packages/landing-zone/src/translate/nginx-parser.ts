/**
 * The grammar of nginx: words, `;`, and blocks in braces. Source: nginx beginner's guide, "Configuration File's
 * Structure", and ngx_conf_read_token. Files that `include` names stand in its place.
 */
import { type Block, type ConfigFile, type Place, syntaxError } from './config-text.ts'

interface Token extends Place {
  readonly text: string
  /** `;`, `{` and `}` end words; the same characters in quotes are text. */
  readonly isMark: boolean
}

const deepestInclude = 10

/** Throws `landing-zone.config-invalid`. An include that finds nothing stays as a statement of its own. */
export function parseNginx(config: ConfigFile, depth = 0): Block[] {
  const tokens = [...tokensOf(config)]
  const reader = { tokens, index: 0 }
  const blocks = blocksIn(reader, config, null)
  return blocks.flatMap((block) => included(block, config, depth))
}

interface Reader {
  readonly tokens: readonly Token[]
  index: number
}

function blocksIn(reader: Reader, config: ConfigFile, opened: Place | null): Block[] {
  const blocks: Block[] = []
  let words: Token[] = []
  while (reader.index < reader.tokens.length) {
    const token = reader.tokens[reader.index++] as Token
    if (!token.isMark) {
      words.push(token)
      continue
    }
    const [first] = words
    if (token.text === '}') {
      if (first) syntaxError(first, `"${first.text}" has no ";" at its end.`)
      if (!opened) syntaxError(token, 'a "}" closes nothing.')
      return blocks
    }
    if (!first) syntaxError(token, `a "${token.text}" stands without a directive.`)
    const place = { file: first.file, line: first.line, words: words.map(({ text }) => text) }
    blocks.push({ ...place, body: token.text === '{' ? blocksIn(reader, config, place) : null })
    words = []
  }
  const [first] = words
  if (first) syntaxError(first, `"${first.text}" has no ";" at its end.`)
  if (opened) syntaxError(opened, 'its "{" is not closed.')
  return blocks
}

function included(block: Block, config: ConfigFile, depth: number): Block[] {
  const { words, body } = block
  if (words[0] === 'include' && body === null && words[1]) {
    if (depth >= deepestInclude) syntaxError(block, 'files include each other in a circle.')
    const files = config.read?.(words[1]) ?? []
    if (files.length > 0) {
      return files.flatMap((file) => parseNginx({ ...(config.read ? { read: config.read } : {}), ...file }, depth + 1))
    }
  }
  return [{ ...block, body: body?.flatMap((inner) => included(inner, config, depth)) ?? null }]
}

function* tokensOf({ name, text }: ConfigFile): Generator<Token> {
  let line = 1
  let index = 0
  while (index < text.length) {
    const char = text.charAt(index)
    const place = { file: name, line }
    if (char === '\n') line++
    if (/\s/.test(char)) index++
    else if (char === '#') while (index < text.length && text.charAt(index) !== '\n') index++
    else if (/[;{}]/.test(char)) {
      yield { ...place, text: char, isMark: true }
      index++
    } else {
      const word = wordAt(text, index, place)
      line += word.lines
      index = word.end
      yield { ...place, text: word.text, isMark: false }
    }
  }
}

/** Quotes hold everything but themselves; `${name}` holds its braces; a backslash takes the next character as it is. */
function wordAt(text: string, start: number, place: Place) {
  const quote = /["']/.test(text.charAt(start)) ? text.charAt(start) : ''
  let [word, index, lines] = ['', quote ? start + 1 : start, 0]
  for (; index < text.length; index++) {
    const char = text.charAt(index)
    if (char === '\n') lines++
    if (char === '\\' && index + 1 < text.length)
      word += /["'\\]/.test(text.charAt(index + 1)) ? text.charAt(++index) : char
    else if (quote ? char === quote : /[\s;{}]/.test(char) && !(char === '{' && word.endsWith('$'))) break
    else if (!quote && char === '{') {
      const end = text.indexOf('}', index)
      word += text.slice(index, end < 0 ? text.length : end + 1)
      index = end < 0 ? text.length : end
    } else word += char
  }
  if (!quote) return { text: word, end: index, lines: text.charAt(index) === '\n' ? lines - 1 : lines }
  if (index >= text.length) syntaxError(place, 'a quote is opened and not closed.')
  return { text: word, end: index + 1, lines }
}
