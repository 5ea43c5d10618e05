/** Conditions of HAProxy as alternatives of criteria. Source: HAProxy 2.6 configuration manual, 7.1 and 7.2. */
import { type Place, syntaxError } from './config-text.ts'
import { rangeText } from './ranges.ts'

/** One test of a request; of its values one is enough. */
export type Criterion =
  | { readonly kind: 'hosts' | 'paths' | 'methods' | 'sources'; readonly values: readonly string[] }
  /** More requests from one address than this. */
  | { readonly kind: 'rate'; readonly above: number }
  /** Whether it came by TLS, which behind a balancer on 443 it always did. */
  | { readonly kind: 'tls' }
  /** What a rule of a balancer cannot say. */
  | { readonly kind: 'unknown'; readonly name: string }

export interface Term {
  readonly isNegated: boolean
  readonly criterion: Criterion
}

/** Alternatives; within each, everything must hold. */
export type Condition = readonly (readonly Term[])[]

/** What one `acl` name stands for: the tests of all its lines. */
export type Acls = ReadonlyMap<string, readonly Criterion[]>

/** Names that HAProxy defines by itself, of those that say something here. */
const predefined: Acls = new Map<string, readonly Criterion[]>([
  ['TRUE', []],
  ['METH_GET', [{ kind: 'methods', values: ['GET', 'HEAD'] }]],
  ['METH_HEAD', [{ kind: 'methods', values: ['HEAD'] }]],
  ['METH_POST', [{ kind: 'methods', values: ['POST'] }]],
  ['METH_PUT', [{ kind: 'methods', values: ['PUT'] }]],
  ['METH_DELETE', [{ kind: 'methods', values: ['DELETE'] }]],
  ['METH_OPTIONS', [{ kind: 'methods', values: ['OPTIONS'] }]],
  ['METH_TRACE', [{ kind: 'methods', values: ['TRACE'] }]],
  ['METH_CONNECT', [{ kind: 'methods', values: ['CONNECT'] }]],
  ['LOCALHOST', [{ kind: 'sources', values: ['127.0.0.0/8'] }]],
])

export interface ConditionSource {
  readonly place: Place
  readonly acls: Acls
  /** The lines of a file that `-f` names; null where it cannot be read. */
  readonly valuesIn: (file: string) => readonly string[] | null
}

/** Of `[…] if …` or `unless …`; an empty condition always holds. Throws for names that no `acl` defines. */
export function conditionOf(words: readonly string[], source: ConditionSource): Condition {
  const [keyword, ...rest] = words
  if (keyword === undefined) return [[]]
  if (rest.length === 0) syntaxError(source.place, `"${keyword}" has no condition.`)
  const alternatives = parse(rest, source)
  if (keyword === 'if') return alternatives
  // Not (a or b) is not a and not b; not (a and b) is not a or not b: one list of either only.
  if (alternatives.length === 1) return (alternatives[0] ?? []).map((term) => [opposite(term)])
  if (alternatives.every((terms) => terms.length === 1)) return [alternatives.flat().map(opposite)]
  return [[{ isNegated: false, criterion: { kind: 'unknown', name: 'unless' } }]]
}

function opposite({ isNegated, criterion }: Term): Term {
  return { isNegated: !isNegated, criterion }
}

function parse(words: readonly string[], source: ConditionSource): Condition {
  let alternatives: Term[][] = [[]]
  const finished: Term[][] = []
  for (let index = 0; index < words.length; index++) {
    let word = words[index] as string
    if (word === 'or' || word === '||') {
      finished.push(...alternatives)
      alternatives = [[]]
      continue
    }
    const isNegated = word.startsWith('!')
    if (isNegated) word = word.slice(1) || (words[++index] ?? '')
    if (word === '{') {
      const end = words.indexOf('}', index)
      if (end < 0) syntaxError(source.place, 'a condition in braces is not closed.')
      const criterion = criterionOf(words.slice(index + 1, end), source)
      alternatives = alternatives.map((terms) => [...terms, { isNegated, criterion }])
      index = end
      continue
    }
    const criteria = source.acls.get(word) ?? predefined.get(word)
    if (!criteria) syntaxError(source.place, `no acl is named "${word}".`)
    alternatives = joined(alternatives, criteria, isNegated)
  }
  return [...finished, ...alternatives]
}

/** A name of several lines holds when one of them does; it does not when none does. */
function joined(alternatives: readonly Term[][], criteria: readonly Criterion[], isNegated: boolean): Term[][] {
  if (criteria.length === 0) return [...alternatives]
  const terms = criteria.map((criterion) => ({ isNegated, criterion }))
  if (isNegated) return alternatives.map((before) => [...before, ...terms])
  return alternatives.flatMap((before) => terms.map((term) => [...before, term]))
}

/** `path_beg -i /a /b`, `req.hdr(host) -m end .x`. */
export function criterionOf(words: readonly string[], source: ConditionSource): Criterion {
  const [fetch = '', ...rest] = words
  if (!fetch) syntaxError(source.place, 'a condition is empty.')
  const { values, match, ignoresCase, isUnreadable } = argumentsOf(rest, source)
  const unknown: Criterion = { kind: 'unknown', name: fetch }
  const [name = '', parameter = ''] = fetch.split(/[(),]/)
  if (isUnreadable) return unknown
  if (rates.includes(name) && values[0] === 'gt' && Number.isInteger(Number(values[1]))) {
    return { kind: 'rate', above: Number(values[1]) }
  }
  if (name === 'ssl_fc') return { kind: 'tls' }
  if (name === 'method') return { kind: 'methods', values }
  if (name === 'src') {
    const ranges = values.flatMap((text) => rangeText(text) ?? [])
    return ranges.length === values.length && ranges.length > 0 ? { kind: 'sources', values: ranges } : unknown
  }
  const [base = '', suffix] = name.split('_')
  const isHost = ['hdr', 'req.hdr'].includes(base) && parameter.toLowerCase() === 'host'
  if (base !== 'path' && !isHost) return unknown
  const patterns = values.map(patternsBy[suffix ?? match ?? 'str'] ?? (() => null))
  if (patterns.length === 0 || patterns.includes(null)) return unknown
  // Names are compared without regard to capitals anyway; paths are not, and a balancer cannot.
  if (base === 'path' && ignoresCase) return { kind: 'unknown', name: `${fetch} -i` }
  return { kind: isHost ? 'hosts' : 'paths', values: patterns.filter((pattern) => pattern !== null) }
}

const rates = ['sc_http_req_rate', 'sc0_http_req_rate', 'sc1_http_req_rate', 'src_http_req_rate']

/** As patterns of a balancer, in which * and ? mean something: what holds them itself cannot be said. */
const patternsBy: Readonly<Record<string, (value: string) => string | null>> = {
  str: (value) => plain(value),
  beg: (value) => plain(value) && `${value}*`,
  end: (value) => plain(value) && `*${value}`,
  sub: (value) => plain(value) && `*${value}*`,
}

function plain(value: string): string | null {
  return /[*?]/.test(value) || value.length > 120 ? null : value
}

interface Arguments {
  readonly values: readonly string[]
  readonly match: string | undefined
  readonly ignoresCase: boolean
  readonly isUnreadable: boolean
}

function argumentsOf(words: readonly string[], { valuesIn }: ConditionSource): Arguments {
  const values: string[] = []
  let [match, ignoresCase, isUnreadable]: [string | undefined, boolean, boolean] = [undefined, false, false]
  for (let index = 0; index < words.length; index++) {
    const word = words[index] as string
    if (word === '-i') ignoresCase = true
    else if (word === '-m') match = words[++index]
    else if (word === '-f') {
      const lines = valuesIn(words[++index] ?? '')
      if (lines) values.push(...lines)
      else isUnreadable = true
    } else if (word === '--') {
      values.push(...words.slice(index + 1))
      break
    } else if (word !== '-n') values.push(word)
  }
  return { values, match, ignoresCase, isUnreadable }
}
