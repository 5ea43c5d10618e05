/** Reads the format of iptables-save: tables, chains, and rules as options. Source: iptables(8), iptables-extensions(8). */
import type { Cidr } from '../plan/cidr.ts'
import { type ConfigFile, linesOf, type Place, syntaxError } from './config-text.ts'
import { type FirewallRule, openByDefault, openOutside, otherTable, unknownMatch } from './firewall-rule.ts'
import type { Left, Outcomes } from './outcome.ts'
import { rangeOf } from './ranges.ts'

interface ParsedRule extends Place {
  readonly chain: string
  readonly target: string
  readonly from: readonly Cidr[]
  readonly to: readonly Cidr[]
  readonly ports: readonly number[]
  readonly protocol: FirewallRule['protocol']
  /** A match that cannot be carried; the rule is left with it. */
  readonly unknown: string | null
  /** Of connections that exist already, of the machine itself, or of what security groups do anyway. */
  readonly isImplied: boolean
}

const builtIn: Readonly<Record<string, FirewallRule['chain']>> = {
  INPUT: 'input',
  FORWARD: 'forward',
  OUTPUT: 'output',
}
const verdicts = ['ACCEPT', 'DROP', 'REJECT']

/** Throws `landing-zone.config-invalid`. Chains of one's own are followed from where they are jumped to. */
export function readIptables(config: ConfigFile, outcomes: Outcomes): FirewallRule[] {
  const chains = new Map<string, ParsedRule[]>()
  let table = ''
  for (const { text, ...place } of linesOf(config)) {
    const line = text.trim()
    if (line === '' || line.startsWith('#')) continue
    if (line.startsWith('*')) {
      table = line.slice(1)
      continue
    }
    if (!table) syntaxError(place, 'a line stands before any table (*filter).')
    if (line === 'COMMIT') {
      table = ''
    } else if (line.startsWith(':')) readChain(line, { place, table, chains, outcomes })
    else if (/^(\[\d+:\d+\] )?-A /.test(line)) {
      const words = wordsOf(line.replace(/^\[\d+:\d+\] /, ''), place)
      if (table !== 'filter') outcomes.left(place, `-A ${words[1]} (${table})`, otherTable)
      else {
        const chain = chains.get(words[1] ?? '')
        if (!chain) syntaxError(place, `no chain is named "${words[1]}".`)
        chain.push(parseRule(words, place))
      }
    } else syntaxError(place, 'this is no line of iptables-save.')
  }
  if (table) syntaxError({ file: config.name, line: linesOf(config).length }, `table ${table} has no COMMIT.`)
  const met = new Set(Object.keys(builtIn))
  const found = Object.entries(builtIn).flatMap(([name, chain]) =>
    (chains.get(name) ?? []).flatMap((rule) => followed({ rule, chain, chains, outcomes, met, trail: [name] })),
  )
  for (const [name, rules] of chains) {
    if (met.has(name)) continue
    for (const rule of rules) outcomes.notNeeded(rule, `-A ${name}`, 'no rule leads to its chain')
  }
  return found
}

interface ChainOptions {
  readonly place: Place
  readonly table: string
  readonly chains: Map<string, ParsedRule[]>
  readonly outcomes: Outcomes
}

function readChain(line: string, { place, table, chains, outcomes }: ChainOptions): void {
  const match = /^:(\S+) (\S+)/.exec(line)
  if (!match) syntaxError(place, 'a chain needs a name and a policy.')
  const [, name = '', policy = ''] = match
  if (table !== 'filter') return
  chains.set(name, [])
  if (!(name in builtIn)) return
  if (policy === 'ACCEPT' && name !== 'OUTPUT') outcomes.left(place, `:${name} ${policy}`, openByDefault)
  else if (policy === 'ACCEPT') outcomes.left(place, `:${name} ${policy}`, openOutside)
  else outcomes.carried(place, `:${name} ${policy}`, 'groups refuse what no rule allows')
}

interface FollowOptions {
  readonly rule: ParsedRule
  readonly chain: FirewallRule['chain']
  readonly chains: ReadonlyMap<string, readonly ParsedRule[]>
  readonly outcomes: Outcomes
  /** Chains that some rule jumps to, as they are met. */
  readonly met: Set<string>
  readonly trail: readonly string[]
}

function followed({ rule, chain, chains, outcomes, met, trail }: FollowOptions): FirewallRule[] {
  const { target, unknown, isImplied, file, line, from, to, ports, protocol } = rule
  const keyword = `-A ${rule.chain}`
  if (isImplied || ['RETURN', 'LOG', 'NFLOG', ''].includes(target)) {
    outcomes.notNeeded(rule, `${keyword} ${target}`.trim(), 'groups know connections; flow logs write all down')
    return []
  }
  if (unknown) {
    outcomes.left(rule, `${keyword} … ${unknown}`, unknownMatch)
    return []
  }
  if (verdicts.includes(target)) {
    return [{ file, line, chain, isAllowed: target === 'ACCEPT', from, to, ports, protocol }]
  }
  const inner = chains.get(target)
  met.add(target)
  if (!inner || trail.includes(target)) {
    outcomes.left(rule, `${keyword} -j ${target}`, unknownTarget)
    return []
  }
  outcomes.notNeeded(rule, `${keyword} -j ${target}`, 'its rules are read where they stand')
  return inner
    .flatMap((one) => followed({ rule: one, chain, chains, outcomes, met, trail: [...trail, target] }))
    .map((one) => narrowed(one, rule))
}

/** What a jump demands holds for the rules behind it, where they do not demand it themselves. */
function narrowed(inner: FirewallRule, outer: ParsedRule): FirewallRule {
  return {
    ...inner,
    from: inner.from.length > 0 ? inner.from : outer.from,
    to: inner.to.length > 0 ? inner.to : outer.to,
    ports: inner.ports.length > 0 ? inner.ports : outer.ports,
    protocol: inner.protocol === 'any' ? outer.protocol : inner.protocol,
  }
}

/** Options with one argument that change nothing of what is let through. */
const silent = ['--comment', '--reject-with', '--log-prefix', '--log-level']

function parseRule(words: readonly string[], place: Place): ParsedRule {
  const rule = {
    ...place,
    chain: words[1] ?? '',
    target: '',
    from: [] as Cidr[],
    to: [] as Cidr[],
    ports: [] as number[],
    protocol: 'any' as FirewallRule['protocol'],
    unknown: null as string | null,
    isImplied: false,
  }
  for (let index = 2; index < words.length; index++) {
    const word = words[index] as string
    const value = () => words[++index] ?? syntaxError(place, `${word} has no value.`)
    if (word === '!') rule.unknown = 'a negation'
    else if (word === '-s' || word === '--source') readRange(value(), rule.from, rule)
    else if (word === '-d' || word === '--destination') readRange(value(), rule.to, rule)
    else if (word === '-p' || word === '--protocol') {
      const protocol = value()
      if (['tcp', 'udp', 'icmp'].includes(protocol)) rule.protocol = protocol as FirewallRule['protocol']
      else if (protocol !== 'all') rule.unknown = `protocol ${protocol}`
    } else if (['--dport', '--dports', '--destination-port'].includes(word)) readPorts(value(), rule, place)
    else if (['--sport', '--sports'].includes(word)) rule.unknown = `${word} ${value()}`
    else if (word === '-m' || word === '--match') {
      const module = value()
      if (!['tcp', 'udp', 'icmp', 'multiport', 'state', 'conntrack', 'comment'].includes(module)) {
        rule.unknown = `-m ${module}`
      }
    } else if (word === '--state' || word === '--ctstate') {
      const states = value().split(',')
      if (!states.includes('NEW')) rule.isImplied = true
    } else if (word === '-i' || word === '-o' || word === '--in-interface' || word === '--out-interface') {
      if (value() === 'lo') rule.isImplied = true
    } else if (word === '-j' || word === '-g' || word === '--jump') rule.target = value()
    else if (silent.includes(word)) value()
    else if (word === '--icmp-type') value()
    else rule.unknown ??= word
  }
  return rule
}

function readRange(text: string, into: Cidr[], rule: { unknown: string | null }): void {
  for (const one of text.split(',')) {
    const range = rangeOf(one)
    if (range) into.push(range)
    else rule.unknown = 'an address that is no IPv4 range'
  }
}

/** A range of a few ports is taken apart; a wide one is not what a group should have. */
function readPorts(text: string, rule: { ports: number[]; unknown: string | null }, place: Place): void {
  for (const one of text.split(',')) {
    const [first = Number.NaN, last = first] = one.split(':').map(Number)
    if (!(first >= 0 && last <= 65_535 && first <= last)) syntaxError(place, 'a port is no number up to 65535.')
    if (last - first > 15) rule.unknown = 'a wide range of ports'
    else for (let port = first; port <= last; port++) rule.ports.push(port)
  }
}

function wordsOf(line: string, place: Place): string[] {
  const words = [...line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '')
  if ((line.replaceAll(/\\./g, '').match(/"/g)?.length ?? 0) % 2 === 1) syntaxError(place, 'a quote is not closed.')
  return words
}

const unknownTarget: Left = {
  id: 'firewall-target',
  title: 'A rule does something that a security group cannot.',
  remedy: 'Decide what replaces it.',
}
