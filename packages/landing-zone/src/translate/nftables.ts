/** Reads the format of `nft list ruleset`. Source: nft(8). Chains that hook into the filter are read, sets resolved. */
import type { Cidr } from '../plan/cidr.ts'
import { type ConfigFile, linesOf, type Place, type Statement, syntaxError } from './config-text.ts'
import { type FirewallRule, openByDefault, openOutside, otherTable, unknownMatch } from './firewall-rule.ts'
import type { Left, Outcomes } from './outcome.ts'
import { rangeOf } from './ranges.ts'

interface Chain {
  /** `other`: of a hook that lets nothing through and refuses nothing. Null for one that is only jumped to. */
  readonly hook: FirewallRule['chain'] | 'other' | null
  readonly rules: readonly Statement[]
}

interface Ruleset {
  readonly chains: ReadonlyMap<string, Chain>
  readonly sets: ReadonlyMap<string, readonly string[]>
  /** Chains that some rule jumps to, as they are met. */
  readonly met: Set<string>
}

/** Throws `landing-zone.config-invalid`. */
export function readNftables(config: ConfigFile, outcomes: Outcomes): FirewallRule[] {
  const ruleset = parse(config, outcomes)
  const found = [...ruleset.chains.values()].flatMap(({ hook, rules }) => {
    if (hook === 'other') for (const rule of rules) outcomes.left(rule, 'rule', otherTable)
    return hook && hook !== 'other' ? rules.flatMap((rule) => ruleOf({ rule, hook, ruleset, outcomes, trail: [] })) : []
  })
  for (const [name, { hook, rules }] of ruleset.chains) {
    if (hook || ruleset.met.has(name)) continue
    for (const rule of rules) outcomes.notNeeded(rule, `rule of ${name}`, 'no rule leads to its chain')
  }
  return found
}

/** Lines, with sets that go over several joined into one. */
function statementsOf(config: ConfigFile): Statement[] {
  const statements: Statement[] = []
  let [joined, start, depth]: [string, Place | null, number] = ['', null, 0]
  for (const { text, ...place } of linesOf(config)) {
    const line = text
      .replaceAll(/"[^"]*"/g, '""')
      .replace(/#.*$/, '')
      .trim()
    if (!line) continue
    start ??= place
    joined += ` ${line}`
    // Braces that open a table, chain or set stand at the end of their line; those of values close again.
    const isOpening = /^(table|chain|set|map|counter|flowtable|ct) .*\{$/.test(joined.trim())
    depth = (joined.match(/\{/g)?.length ?? 0) - (joined.match(/\}/g)?.length ?? 0)
    if (!isOpening && depth > 0) continue
    const words = joined
      .replaceAll(/([{},;])/g, ' $1 ')
      .trim()
      .split(/\s+/)
    statements.push({ ...start, words })
    ;[joined, start] = ['', null]
  }
  if (start) syntaxError(start, 'a "{" is not closed.')
  return statements
}

function parse(config: ConfigFile, outcomes: Outcomes): Ruleset {
  const chains = new Map<string, Chain & { rules: Statement[]; hook: Chain['hook'] }>()
  const sets = new Map<string, string[]>()
  const open: { kind: string; name: string; place: Place }[] = []
  let family = ''
  for (const statement of statementsOf(config)) {
    const { words } = statement
    const [keyword = ''] = words
    const inside = open.at(-1)
    if (keyword === '}') {
      if (!inside) syntaxError(statement, 'a "}" closes nothing.')
      open.pop()
    } else if (words.at(-1) === '{') {
      const isTable = keyword === 'table'
      if (isTable !== !inside) syntaxError(statement, `"${keyword}" stands in the wrong place.`)
      const name = `${family} ${words.at(-2)}`
      if (isTable) family = words.slice(1, -1).join(' ')
      else if (keyword === 'chain') chains.set(name, { hook: null, rules: [] })
      open.push({ kind: keyword, name: isTable ? family : name, place: statement })
    } else if (inside?.kind === 'chain') {
      const chain = chains.get(inside.name)
      if (keyword === 'type') readHook(statement, (hook) => chain && Object.assign(chain, { hook }), outcomes)
      else chain?.rules.push({ ...statement, words: [inside.name, ...words] })
    } else if (inside?.kind === 'set' && keyword === 'elements') sets.set(inside.name, elementsIn(words))
    else if (!inside) {
      if (keyword !== 'flush' && keyword !== 'define')
        syntaxError(statement, `"${keyword}" stands outside of any table.`)
      if (keyword === 'define') outcomes.left(statement, keyword, notListed)
    } else if (inside.kind === 'table' && keyword !== 'comment' && keyword !== 'flags') {
      syntaxError(statement, 'one statement a line is wanted, as `nft list ruleset` prints them.')
    }
  }
  const unclosed = open.at(-1)
  if (unclosed) syntaxError(unclosed.place, 'its "{" is not closed.')
  return { chains, sets, met: new Set() }
}

/** `type filter hook input priority 0; policy drop;` */
function readHook(statement: Statement, found: (hook: NonNullable<Chain['hook']>) => void, outcomes: Outcomes): void {
  const { words } = statement
  const hook = words[words.indexOf('hook') + 1] ?? ''
  const isFilter = words[1] === 'filter' && ['input', 'forward', 'output'].includes(hook)
  if (!isFilter) {
    found('other')
    outcomes.left(statement, `type ${words[1]} hook ${hook}`, otherTable)
    return
  }
  found(hook as FirewallRule['chain'])
  const policy = words[words.indexOf('policy') + 1]
  if (words.includes('policy') && policy === 'drop')
    outcomes.carried(statement, 'policy drop', 'groups refuse the rest')
  else outcomes.left(statement, `policy of ${hook}`, hook === 'output' ? openOutside : openByDefault)
}

interface RuleOptions {
  readonly rule: Statement
  readonly hook: FirewallRule['chain']
  readonly ruleset: Ruleset
  readonly outcomes: Outcomes
  readonly trail: readonly string[]
}

function ruleOf({ rule, hook, ruleset, outcomes, trail }: RuleOptions): FirewallRule[] {
  const [chain = '', ...words] = rule.words
  const { file, line } = rule
  const place = { file, line }
  const keyword = `rule of ${chain}`
  const found = {
    from: [] as Cidr[],
    to: [] as Cidr[],
    ports: [] as number[],
    protocol: 'any' as FirewallRule['protocol'],
  }
  let unknown: string | null = null
  for (let index = 0; index < words.length; index++) {
    const word = words[index] as string
    const values = () => {
      const taken = valuesAt(words, index + 1, ruleset, chain)
      index = taken.end - 1
      if (taken.isUnknown) unknown ??= 'a value'
      return taken.values
    }
    if (word === 'ip' && ['saddr', 'daddr'].includes(words[index + 1] ?? '')) {
      const side = words[++index] === 'saddr' ? found.from : found.to
      for (const value of values()) {
        const range = rangeOf(value)
        if (range) side.push(range)
        else unknown ??= 'an address that is no IPv4 range'
      }
    } else if ((word === 'tcp' || word === 'udp') && words[index + 1] === 'dport') {
      index++
      found.protocol = word
      for (const value of values()) {
        const [first = Number.NaN, last = first] = value.split('-').map((one) => services[one] ?? Number(one))
        if (!(first >= 0 && last <= 65_535)) syntaxError(place, 'a port is no number up to 65535.')
        if (last - first > 15) unknown ??= 'a wide range of ports'
        else for (let port = first; port <= last; port++) found.ports.push(port)
      }
    } else if (word === 'ct' && words[index + 1] === 'state') {
      index++
      if (!values().includes('new')) return implied(place, keyword, outcomes)
    } else if (['iif', 'iifname', 'oif', 'oifname'].includes(word)) {
      if (values().some((value) => value === 'lo' || value === '""')) return implied(place, keyword, outcomes)
    } else if (word === 'icmp' || word === 'icmpv6' || (word === 'meta' && words[index + 1] === 'l4proto')) {
      if (word === 'meta') index++
      else found.protocol = 'icmp'
    } else if (word === 'ip' && words[index + 1] === 'protocol') {
      index++
      const [protocol = ''] = values()
      if (['tcp', 'udp', 'icmp'].includes(protocol)) found.protocol = protocol as FirewallRule['protocol']
      else unknown ??= `protocol ${protocol}`
    } else if (word === 'accept' || word === 'drop' || word === 'reject') {
      if (unknown) break
      return [{ ...place, chain: hook, isAllowed: word === 'accept', ...found }]
    } else if (word === 'jump' || word === 'goto') {
      const target = `${chain.slice(0, chain.lastIndexOf(' '))} ${words[index + 1]}`
      return jumped({ rule, hook, ruleset, outcomes, trail }, target, { ...found, unknown })
    } else if (word === 'counter') {
      if (words[index + 1] === 'packets') index += 4
    } else if (word === 'comment') index++
    else if (word === 'log' || word === 'return') return implied(place, keyword, outcomes)
    else if (!['type', 'with', ';'].includes(word)) unknown ??= word
  }
  outcomes.left(place, `${keyword}: ${unknown ?? 'no verdict'}`, unknownMatch)
  return []
}

type Found = Pick<FirewallRule, 'from' | 'to' | 'ports' | 'protocol'> & { readonly unknown: string | null }

function jumped(options: RuleOptions, target: string, found: Found): FirewallRule[] {
  const { rule, ruleset, outcomes, trail } = options
  const { file, line } = rule
  const chain = ruleset.chains.get(target)
  if (!chain) syntaxError({ file, line }, `no chain is named "${target.split(' ').at(-1)}".`)
  ruleset.met.add(target)
  if (found.unknown || trail.includes(target)) {
    outcomes.left({ file, line }, `jump ${target}`, unknownMatch)
    return []
  }
  outcomes.notNeeded({ file, line }, `jump ${target}`, 'its rules are read where they stand')
  return chain.rules
    .flatMap((one) => ruleOf({ ...options, rule: one, trail: [...trail, target] }))
    .map((one) => ({
      ...one,
      from: one.from.length > 0 ? one.from : found.from,
      to: one.to.length > 0 ? one.to : found.to,
      ports: one.ports.length > 0 ? one.ports : found.ports,
      protocol: one.protocol === 'any' ? found.protocol : one.protocol,
    }))
}

function implied(place: Place, keyword: string, outcomes: Outcomes): FirewallRule[] {
  outcomes.notNeeded(place, keyword, 'groups know connections; flow logs write all down')
  return []
}

/** One value, `{ a, b }`, or `@set`. A `!=` before it is not known. */
function valuesAt(words: readonly string[], start: number, { sets }: Ruleset, chain: string) {
  const first = words[start] ?? ''
  if (first === '!=') return { values: [], end: start + 2, isUnknown: true }
  if (first.startsWith('@')) {
    const values = sets.get(`${chain.slice(0, chain.lastIndexOf(' '))} ${first.slice(1)}`)
    return { values: values ?? [], end: start + 1, isUnknown: values === undefined }
  }
  if (first !== '{') {
    const values: string[] = []
    let end = start
    // `established,related` came apart at its commas.
    do values.push(words[end++] ?? '')
    while (words[end] === ',' && ++end)
    return { values, end, isUnknown: false }
  }
  const close = words.indexOf('}', start)
  return { values: elementsIn(words.slice(start, close + 1)), end: close + 1, isUnknown: false }
}

function elementsIn(words: readonly string[]): string[] {
  const inner = words.slice(words.indexOf('{') + 1, words.lastIndexOf('}'))
  return inner.filter((word) => word !== ',')
}

/** Names that nft writes for ports unless it is asked for numbers. Source: /etc/services. */
const services: Readonly<Record<string, number>> = {
  'ssh': 22,
  'smtp': 25,
  'domain': 53,
  'http': 80,
  'ntp': 123,
  'ldap': 389,
  'https': 443,
  'ldaps': 636,
  'mysql': 3306,
  'postgresql': 5432,
  'amqps': 5671,
  'amqp': 5672,
  'redis': 6379,
  'http-alt': 8080,
}

const notListed: Left = {
  id: 'firewall-define',
  title: 'The file is a script and not a list of rules.',
  remedy: 'Give what `nft list ruleset` prints: there every name is replaced.',
}
