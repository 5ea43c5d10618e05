/**
 * Reads a haproxy.cfg into fronts and pools. Whatever a balancer of AWS cannot do is left and told, with its line; what
 * it would refuse and we cannot is told first of all.
 */
import type { LandingService } from '@replatform/core/landing-zone-estate'
import { type ConfigFile, type Statement, syntaxError } from './config-text.ts'
import type { Front, Fronts, Member, Pool } from './front.ts'
import { HaproxyFront } from './haproxy-front.ts'
import { ordinary } from './haproxy-keywords.ts'
import { parseHaproxy, type Section } from './haproxy-parser.ts'
import type { Outcomes } from './outcome.ts'

/** Throws `landing-zone.config-invalid`. */
export function readHaproxy(config: ConfigFile, outcomes: Outcomes): Fronts {
  const sections = parseHaproxy(config)
  const pools = new Set(sections.filter(({ kind }) => kind === 'backend' || kind === 'listen').map(({ name }) => name))
  const collected: { fronts: Front[]; pools: Pool[] } = { fronts: [], pools: [] }
  let defaults: Defaults = { isHttp: false, health: undefined, balance: undefined, idleTimeoutSeconds: undefined }
  for (const section of sections) {
    const { kind } = section
    if (kind === 'defaults') defaults = defaultsOf(section, outcomes)
    else if (kind === 'global') for (const statement of section.statements) ordinary(statement, outcomes)
    else if (kind === 'frontend' || kind === 'listen' || kind === 'backend') {
      const mine = { ...defaults, ...settingsOf(section) }
      if (kind !== 'frontend') collected.pools.push(poolOf(section, mine, outcomes))
      if (kind === 'backend') continue
      collected.fronts.push(new HaproxyFront({ config, section, pools, outcomes, ...mine }).read())
    } else leaveSection(section, outcomes)
  }
  return collected
}

export interface Defaults {
  readonly isHttp: boolean
  readonly health: string | undefined
  readonly balance: LandingService['balance'] | undefined
  readonly idleTimeoutSeconds: number | undefined
}

function defaultsOf(section: Section, outcomes: Outcomes): Defaults {
  for (const statement of section.statements) {
    const [keyword = '', value] = statement.words
    if (['mode', 'timeout', 'balance'].includes(keyword)) outcomes.carried(statement, keyword, 'at each service')
    else if (keyword === 'option' && value === 'httpchk') outcomes.carried(statement, keyword, 'health of each service')
    else ordinary(statement, outcomes)
  }
  const nothing = { isHttp: false, health: undefined, balance: undefined, idleTimeoutSeconds: undefined }
  return { ...nothing, ...settingsOf(section) }
}

/** Only what the section says itself. */
function settingsOf({ statements }: Section): Partial<Defaults> {
  const last = (keyword: string, second?: string) =>
    statements.findLast(({ words }) => words[0] === keyword && (second === undefined || words[1] === second))
  const mode = last('mode')?.words[1]
  const timeout = last('timeout', 'client') ?? last('timeout', 'server')
  const balance = last('balance')?.words[1]
  const health = healthIn(statements)
  return {
    ...(mode ? { isHttp: mode === 'http' } : {}),
    ...(timeout ? { idleTimeoutSeconds: secondsOf(timeout) } : {}),
    ...(balance ? { balance: balance === 'leastconn' ? 'least-outstanding' : 'round-robin' } : {}),
    ...(health ? { health } : {}),
  }
}

/** `option httpchk [method] uri`, or `http-check send meth GET uri /health`. */
function healthIn(statements: readonly Statement[]): string | undefined {
  const check = statements.findLast(({ words }) => words[0] === 'http-check' && words[1] === 'send')
  const uri = check?.words[check.words.indexOf('uri') + 1]
  if (check?.words.includes('uri') && uri) return uri
  const option = statements.findLast(({ words }) => words[0] === 'option' && words[1] === 'httpchk')
  const [, , first, second] = option?.words ?? []
  return option ? (second ?? (first?.startsWith('/') ? first : '/')) : undefined
}

/** Milliseconds unless a unit follows. Source: configuration manual, 2.5. */
function secondsOf(statement: Statement): number {
  const match = /^(\d+)(us|ms|s|m|h|d)?$/.exec(statement.words[2] ?? '')
  if (!match) syntaxError(statement, 'a timeout is no time.')
  const unit = { us: 1e-6, ms: 1e-3, s: 1, m: 60, h: 3_600, d: 86_400 }[match[2] ?? 'ms'] ?? 1
  return Math.min(4_000, Math.max(1, Math.round(Number(match[1]) * unit)))
}

function poolOf({ name, file, line, statements }: Section, defaults: Defaults, outcomes: Outcomes): Pool {
  const members: Member[] = []
  let sticky = false
  const weights = new Set<string>()
  for (const statement of statements) {
    const [keyword = '', value = ''] = statement.words
    if (keyword === 'server') {
      const member = memberOf(statement, outcomes)
      if (member) members.push(member)
      weights.add(statement.words[statement.words.indexOf('weight') + 1 || -1] ?? '')
    } else if (keyword === 'server-template') outcomes.left(statement, keyword, discovered)
    else if (keyword === 'cookie') {
      sticky = true
      outcomes.carried(statement, keyword, `sticky of ${name}`)
    } else if (keyword === 'balance') {
      if (['roundrobin', 'static-rr', 'leastconn'].includes(value)) {
        outcomes.carried(statement, keyword, `balance of ${name}`)
      } else outcomes.left(statement, `balance ${value}`, byHash)
    } else if (keyword === 'option' && value === 'httpchk') outcomes.carried(statement, keyword, `health of ${name}`)
    else if (!HaproxyFront.knows(statement)) ordinary(statement, outcomes)
  }
  if (weights.size > 1) outcomes.left({ file, line }, `weights of ${name}`, weighted)
  const { health, balance } = defaults
  return {
    name,
    file,
    line,
    members,
    ...(health ? { health } : {}),
    ...(balance ? { balance } : {}),
    ...(sticky ? { sticky } : {}),
  }
}

function memberOf(statement: Statement, outcomes: Outcomes): Member | null {
  const [, name = '', address = '', ...settings] = statement.words
  if (!name || !address) syntaxError(statement, 'a server needs a name and an address.')
  const match = /^(?:ipv4@)?([^:@]*):(\d{1,5})$/.exec(address)
  if (!match || Number(match[2]) > 65_535) {
    outcomes.left(statement, 'server', {
      ...discovered,
      id: 'haproxy-address',
      title: 'The address of a machine is none of IPv4 with a port.',
    })
    return null
  }
  for (const word of ['backup', 'disabled']) {
    if (settings.includes(word)) outcomes.left(statement, `server … ${word}`, standby)
  }
  if (settings.some((word) => word.startsWith('send-proxy'))) outcomes.left(statement, 'send-proxy', proxyProtocol)
  outcomes.carried(statement, 'server', 'a machine of its service')
  return settings.includes('disabled') ? null : { host: match[1] ?? '', port: Number(match[2]) }
}

function leaveSection(section: Section, outcomes: Outcomes): void {
  const { kind } = section
  const harmless = ['peers', 'resolvers', 'ring', 'log-forward', 'traces', 'mailers'].includes(kind)
  for (const statement of [{ ...section, words: [kind] }, ...section.statements]) {
    const [keyword = ''] = statement.words
    if (harmless) outcomes.notNeeded(statement, keyword, `AWS has its own for ${kind}`)
    else outcomes.left(statement, kind, { ...unknownSection, id: `haproxy-${kind}` })
  }
}

const discovered = {
  id: 'haproxy-discovery',
  title: 'Machines that are found by name at run time cannot be listed.',
  remedy: 'Name the port and the number of machines at the service in estate.yaml.',
}
const byHash = {
  id: 'haproxy-hash',
  title: 'Balancers of AWS do not choose a machine by a hash.',
  remedy: 'Say sticky: true where a client must stay at its machine; otherwise nothing.',
}
const weighted = {
  id: 'haproxy-weights',
  title: 'Machines of one service have the same weight.',
  remedy: 'Give the machines one size; for a trial of a new version make it a service of its own.',
}
const standby = {
  id: 'haproxy-standby',
  title: 'A target group has no machine that waits, or is switched off.',
  remedy: 'Nothing where a group over zones is enough; else a service of its own that people switch to.',
}
const proxyProtocol = {
  id: 'haproxy-proxy-protocol',
  title: 'The service is told the client’s address by the PROXY protocol.',
  remedy: 'Over HTTP read X-Forwarded-For; over TCP the network balancer keeps the client’s address.',
}
const unknownSection = {
  title: 'A section has no successor on AWS.',
  remedy: 'Decide what replaces it: users belong to the service or its identity provider, caches to a CDN.',
}
