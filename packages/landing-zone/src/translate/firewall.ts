import type { Cidr } from '../plan/cidr.ts'
import { contains, formatCidr, overlaps } from '../plan/cidr.ts'
import type { AddressBook, Known } from './address-book.ts'
import { at } from './config-text.ts'
import type { FirewallRule } from './firewall-rule.ts'
import type { Left, Outcome, Outcomes } from './outcome.ts'
import { everywhere, isPrivate } from './ranges.ts'
import type { Services } from './services.ts'
import type { OldConfig } from './translate.ts'

interface FirewallOptions {
  readonly services: Services
  readonly book: AddressBook
  readonly outcomes: Outcomes
  readonly rules: readonly FirewallRule[]
  readonly config: OldConfig
}

/** Makes flows of the estate out of rules between addresses; what has no party at both ends is told. */
export function applyFirewall(options: FirewallOptions): void {
  for (const [index, rule] of options.rules.entries()) {
    if (rule.isAllowed) new RuleReader(options, rule).allow()
    else refuse(options, rule, options.rules.slice(index + 1))
  }
}

type End =
  | Known
  | { readonly kind: 'on-premises' }
  | { readonly kind: 'internet'; readonly range?: Cidr }
  | { readonly kind: 'unknown'; readonly range: Cidr }

class RuleReader {
  readonly #options: FirewallOptions
  readonly #rule: FirewallRule

  constructor(options: FirewallOptions, rule: FirewallRule) {
    this.#options = options
    this.#rule = rule
  }

  allow(): void {
    const { outcomes } = this.#options
    const { ports, chain } = this.#rule
    if (this.#isSpecial()) return
    const results = this.#ends('from').flatMap((from) =>
      this.#ends('to').flatMap((to) => ports.filter((port) => port !== 22).map((port) => this.#flow(from, to, port))),
    )
    const carried = results.filter((result) => typeof result === 'string')
    const left = results.filter((result) => typeof result !== 'string')
    if (carried.length > 0) outcomes.carried(this.#rule, chain, [...new Set(carried)].join(', '))
    for (const about of new Set(left)) this.#left(about)
  }

  /** What is no flow over TCP to a few ports, or needs no rule; told at once. */
  #isSpecial(): boolean {
    const { protocol, ports } = this.#rule
    const isAnswered = protocol === 'udp' && ports.every((port) => [53, 123, 67, 68].includes(port))
    if (protocol === 'icmp') this.#notNeeded('groups need no ICMP; path discovery is let through')
    else if (ports.length === 0) this.#left(allPorts)
    else if (isAnswered) this.#notNeeded('AWS answers names and time inside')
    else if (protocol === 'udp') this.#left(datagrams)
    else if (ports.every((port) => port === 22)) this.#notNeeded('people come by Session Manager')
    else return false
    return true
  }

  /** Who stands at that end. "This machine" where nobody is named on its own side. */
  #ends(side: 'from' | 'to'): End[] {
    const { book, config } = this.#options
    const { chain } = this.#rule
    const ranges = this.#rule[side]
    const isOwn = (chain === 'input' && side === 'to') || (chain === 'output' && side === 'from')
    if (isOwn && config.machine) return [this.#machine(config.machine)]
    if (ranges.length === 0 || ranges.some(({ prefix }) => prefix === 0)) {
      return isOwn ? [{ kind: 'unknown', range: everywhere }] : [{ kind: 'internet' }]
    }
    return ranges.flatMap((range): End[] => {
      const known = side === 'to' ? book.inside(range) : book.exactly(range)
      if (known.length > 0) return known
      if (!isPrivate(range) && !book.isOfSite(range)) return [{ kind: 'internet', range }]
      return side === 'from' ? [{ kind: 'on-premises' }] : [{ kind: 'unknown', range }]
    })
  }

  #machine(name: string): End {
    return { kind: this.#options.services.find(name) ? 'service' : 'store', name }
  }

  /** What the flow became, or why it could not be. */
  #flow(from: End, to: End, port: number): string | Left {
    const { services } = this.#options
    if (to.kind === 'internet') return this.#egress(from, to.range, port)
    if (to.kind === 'unknown' || from.kind === 'unknown') return unknownAddress
    if (to.kind === 'store') {
      const caller = from.kind === 'service' ? services.find(from.name) : undefined
      if (!caller) return storeFromOutside
      if (!caller.stores?.includes(to.name)) caller.stores = [...(caller.stores ?? []), to.name]
      return `stores of ${from.kind === 'service' ? from.name : ''}`
    }
    if (to.kind !== 'service') return unknownAddress
    const called = services.find(to.name)
    if (!called) return unknownAddress
    if (port !== called.port && port !== 443) return otherPort
    if (from.kind === 'service') {
      const caller = services.find(from.name)
      if (!caller || from.name === to.name) return insideService
      if (!caller.calls?.includes(to.name)) caller.calls = [...(caller.calls ?? []), to.name]
      if (!called.from.includes('services')) called.from = [...called.from, 'services']
      return `calls of ${from.name}`
    }
    if (from.kind === 'store') return fromStore
    if (from.kind === 'internet' && !services.hasFront(to.name) && !called.from.includes('internet')) return openMachine
    const party = from.kind
    if (!called.from.includes(party)) called.from = [...called.from, party]
    return `from of ${to.name}: ${party}`
  }

  /** A partner that has no name here is held to its address. */
  #egress(from: End, range: Cidr | undefined, port: number): string | Left {
    if (!range || range.prefix < 8) return egressOpen
    const caller = from.kind === 'service' ? this.#options.services.find(from.name) : undefined
    if (!caller || from.kind !== 'service') return egressUnknownCaller
    const address = formatCidr(range)
    const egress = caller.egress ?? []
    if (!egress.some((partner) => partner.port === port && partner.addresses?.includes(address))) {
      const reason = `Allowed by address in the old firewall (${at(this.#rule)}): say here whom, and what for.`
      caller.egress = [...egress, { addresses: [address], port, reason }]
    }
    return `egress of ${from.name}: ${address}`
  }

  #left(about: Left): void {
    this.#options.outcomes.left(this.#rule, this.#rule.chain, about)
  }

  #notNeeded(as: string): void {
    this.#options.outcomes.notNeeded(this.#rule, this.#rule.chain, as)
  }
}

/** Groups only allow. What was refused before something was allowed matters; what is refused at the end does not. */
function refuse(options: FirewallOptions, rule: FirewallRule, later: readonly FirewallRule[]): Outcome {
  const { outcomes, services } = options
  const overlapping = later.some((other) => other.isAllowed && other.chain === rule.chain && meets(rule, other))
  if (!overlapping) return outcomes.notNeeded(rule, `${rule.chain} (refused)`, 'what no rule allows is refused')
  const isOfInternet = rule.from.length > 0 && rule.from.every((range) => !isPrivate(range))
  const open = Object.entries(services.all()).filter(
    ([, { from, protocol }]) => from.includes('internet') && protocol !== 'tcp',
  )
  const isWhole = rule.to.length === 0 && rule.ports.length === 0 && rule.chain !== 'output'
  if (!isOfInternet || !isWhole || open.length === 0) return outcomes.left(rule, `${rule.chain} (refused)`, exception)
  for (const [name] of open) {
    const draft = services.find(name)
    if (!draft) continue
    const deny = [...new Set([...(draft.filter?.deny ?? []), ...rule.from.map(formatCidr)])]
    draft.filter = { reason: `Carried over from ${at(rule)}.`, ...draft.filter, deny }
  }
  return outcomes.carried(rule, `${rule.chain} (refused)`, 'filter.deny of public services')
}

function meets(one: FirewallRule, other: FirewallRule): boolean {
  const share = (a: readonly Cidr[], b: readonly Cidr[]) =>
    a.length === 0 || b.length === 0 || a.some((x) => b.some((y) => overlaps(x, y) || contains(x, y)))
  const samePort =
    one.ports.length === 0 || other.ports.length === 0 || one.ports.some((port) => other.ports.includes(port))
  return share(one.from, other.from) && share(one.to, other.to) && samePort
}

const allPorts: Left = {
  id: 'firewall-all-ports',
  title: 'Every port was open: no group of the templates opens more than one.',
  remedy: 'Find the ports that are used in the flow logs or with ss, and describe each flow.',
}
const datagrams: Left = {
  id: 'firewall-udp',
  title: 'UDP is not carried.',
  remedy: 'Describe what needs it; names and time are answered by AWS inside the network.',
}
const egressUnknownCaller: Left = {
  id: 'firewall-egress-address',
  title: 'A partner was allowed by address, and which service called it is not known.',
  remedy: 'Write it as egress of that service, with `addresses`, port and reason.',
}
const egressOpen: Left = {
  id: 'firewall-egress-open',
  title: 'Everybody outside could be called; the templates let nobody be called that is not named.',
  remedy: 'Find the partners in the log of the proxy or of connections, and write each as egress.',
}
const unknownAddress: Left = {
  id: 'firewall-unknown-address',
  title: 'Nothing is known about an address of the rule.',
  remedy:
    'Say whose it is with oldAddresses of a service or store, or whose machine the file is of: --iptables NAME=FILE.',
}
const storeFromOutside: Left = {
  id: 'firewall-store-outside',
  title:
    'A store was reached by something that is no service of the estate; in the templates only services and movers do.',
  remedy: 'Describe what calls it as a service, or let people come by Session Manager.',
}
const otherPort: Left = {
  id: 'firewall-port',
  title: 'A service was reached at another port than its own.',
  remedy: 'Describe that port as a service of its own, or leave it closed.',
}
const insideService: Left = {
  id: 'firewall-inside',
  title: 'Machines of one service reach each other; in the templates they do not.',
  remedy: 'Describe what they share: a store, or a call through their balancer.',
}
const fromStore: Left = {
  id: 'firewall-from-store',
  title: 'A store calls somebody; managed services do not.',
  remedy: 'Let a service do it.',
}
const openMachine: Left = {
  id: 'firewall-public-machine',
  title: 'Everybody could reach a machine itself; in the templates only balancers face the internet.',
  remedy: 'Give the service `host` and add internet to `from` where that was meant.',
}
const exception: Left = {
  id: 'firewall-exception',
  title: 'Something is refused before more is allowed: groups of AWS only allow.',
  remedy: 'Write the remaining flows one by one, or refuse it in the service.',
}
