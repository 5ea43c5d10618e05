/** Bindings of RabbitMQ as selectors of ActiveMQ over what a message carries: its routing key and its headers. */
import type { BindingDefinition, ExchangeDefinition } from '@replatform/connector-rabbitmq/definitions'

export const routingKeyProperty = 'amqp_routing_key'

export type Translation =
  | { readonly kind: 'all' }
  | { readonly kind: 'selector'; readonly selector: string }
  | { readonly kind: 'none'; readonly why: string }

/** What of an exchange's messages a binding takes. Pure. */
export function translateBinding(exchange: ExchangeDefinition, binding: BindingDefinition): Translation {
  switch (exchange.type) {
    case 'fanout':
      return { kind: 'all' }
    case 'direct':
      return selector(equals(binding.routingKey))
    case 'topic':
      return translatePattern(binding.routingKey)
    case 'headers':
      return translateHeaders(binding.arguments)
    default:
      return { kind: 'none', why: `ActiveMQ has no exchanges of type ${exchange.type}.` }
  }
}

/** Several bindings of one queue, each of which suffices. */
export function anyOf(translations: readonly Translation[]): Translation {
  if (translations.some(({ kind }) => kind === 'all')) return { kind: 'all' }
  const selectors = [...new Set(translations.flatMap((one) => (one.kind === 'selector' ? one.selector : [])))]
  if (selectors.length === 0) return translations[0] ?? { kind: 'none', why: 'Nothing is bound.' }
  return selector(selectors.length === 1 ? (selectors[0] as string) : selectors.map((one) => `(${one})`).join(' OR '))
}

/**
 * `*` stands for one word, `#` for any number. Without `#` the number of dots is fixed, so LIKE can say it exactly;
 * `#` alone at an end is a prefix or a suffix; a mixture needs the broker's REGEX.
 */
function translatePattern(pattern: string): Translation {
  const words = pattern.split('.')
  if (words.every((word) => word === '#')) return { kind: 'all' }
  const [stars, hashes] = [words.filter((word) => word === '*').length, words.filter((word) => word === '#').length]
  if (stars === 0 && hashes === 0) return selector(equals(pattern))
  if (hashes === 0) {
    const tooMany = like(`%${'.%'.repeat(words.length)}`)
    // RabbitMQ takes an empty key for no word at all.
    if (words.length === 1) return selector(`NOT (${tooMany}) AND ${routingKeyProperty} <> ''`)
    return selector(`${like(words.map((word) => (word === '*' ? '%' : escaped(word))).join('.'))} AND NOT (${tooMany})`)
  }
  if (stars === 0 && hashes === 1 && words.at(-1) === '#') {
    const head = words.slice(0, -1).join('.')
    return selector(`${equals(head)} OR ${like(`${escaped(head)}.%`)}`)
  }
  if (stars === 0 && hashes === 1 && words[0] === '#') {
    const tail = words.slice(1).join('.')
    return selector(`${equals(tail)} OR ${like(`%.${escaped(tail)}`)}`)
  }
  const some = words.every((word) => word === '*' || word === '#') ? ` AND ${routingKeyProperty} <> ''` : ''
  return selector(`REGEX(${quoted(`^${regexOf(words)}$`)}, ${routingKeyProperty})${some}`)
}

function regexOf(words: readonly string[]): string {
  // Each `#` brings the dot of its own words, so that none of them leaves none.
  const [first, ...rest] = words
  const begin = first === '#' ? '(([^.]*\\.)*[^.]*)?' : wordRegex(first ?? '')
  let text = begin
  let dotIsOptional = first === '#'
  for (const word of rest) {
    if (word === '#') text += '(\\.[^.]*)*'
    else text += dotIsOptional ? `(?:^|\\.)${wordRegex(word)}` : `\\.${wordRegex(word)}`
    dotIsOptional = dotIsOptional && word === '#'
  }
  return text
}

function wordRegex(word: string): string {
  return word === '*' ? '[^.]*' : word.replace(/[\\^$.|?+*()[\]{}]/g, '\\$&')
}

const identifier = /^[A-Za-z_$][A-Za-z0-9_$]*$/
const selectorWords = /^(not|and|or|between|like|in|is|null|true|false|escape)$/i

function translateHeaders(all: Readonly<Record<string, unknown>>): Translation {
  const mode = String(all['x-match'] ?? 'all')
  const withOwn = mode.endsWith('-with-x')
  const entries = Object.entries(all).filter(([name]) => name !== 'x-match' && (withOwn || !name.startsWith('x-')))
  // RabbitMQ takes everything for `all` of nothing, and nothing for `any` of nothing.
  if (entries.length === 0)
    return mode.startsWith('all') ? { kind: 'all' } : { kind: 'none', why: 'It matches nothing.' }
  const conditions: string[] = []
  for (const [name, value] of entries) {
    if (!identifier.test(name) || selectorWords.test(name)) {
      return { kind: 'none', why: `No selector can name the header "${name}": give it a name of letters and digits.` }
    }
    const condition = headerCondition(name, value)
    if (condition === undefined) {
      return { kind: 'none', why: `No selector can compare the header "${name}" with a list or a table.` }
    }
    conditions.push(condition)
  }
  return selector(conditions.join(mode.startsWith('any') ? ' OR ' : ' AND '))
}

function headerCondition(name: string, value: unknown): string | undefined {
  if (value === null || value === undefined) return `${name} IS NOT NULL`
  if (typeof value === 'string') return `${name} = ${quoted(value)}`
  if (typeof value === 'number') return `${name} = ${value}`
  if (typeof value === 'boolean') return `${name} = ${value ? 'TRUE' : 'FALSE'}`
  return undefined
}

function selector(text: string): Translation {
  return { kind: 'selector', selector: text }
}

function equals(key: string): string {
  return `${routingKeyProperty} = ${quoted(key)}`
}

function like(pattern: string): string {
  return `${routingKeyProperty} LIKE ${quoted(pattern)}${pattern.includes('!') ? " ESCAPE '!'" : ''}`
}

/** For LIKE, with `!` as its escape. */
function escaped(text: string): string {
  return text.replace(/[!%_]/g, '!$&')
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
