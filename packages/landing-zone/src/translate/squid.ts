/** Reads the allow lists of an old forward proxy. Source: squid's documented configuration, acl and http_access. */
import type { Cidr } from '../plan/cidr.ts'
import { type ConfigFile, linesOf, type Place, type Statement, syntaxError } from './config-text.ts'
import type { Left, Outcomes } from './outcome.ts'
import { rangeOf } from './ranges.ts'

/** A partner that clients may call through the proxy. */
export interface AllowedHost extends Place {
  /** `api.bank.example`, or `*.bank.example` for all below it. */
  readonly host: string
  readonly ports: readonly number[]
  /** Empty where everybody may. */
  readonly from: readonly Cidr[]
}

interface Acl {
  readonly type: string
  readonly values: readonly string[]
  readonly place: Place
}

const notNeeded =
  /^(http_port|https_port|cache|cache_.*|coredump_dir|refresh_pattern|access_log|logformat|visible_hostname|dns_.*|forwarded_for|via|pid_filename|maximum_object_size.*|minimum_object_size|shutdown_lifetime|client_.*|half_closed_clients|logfile_rotate|max_filedescriptors|memory_.*|workers|hosts_file|error_directory|httpd_suppress_version_string|debug_options|strip_query_terms|read_timeout|connect_timeout|request_timeout)$/

/** Names that squid defines by itself. */
const predefined: readonly (readonly [string, Omit<Acl, 'place'>])[] = [
  ['all', { type: 'src', values: [] }],
  ['manager', { type: 'other', values: [] }],
  ['localhost', { type: 'src', values: ['127.0.0.1'] }],
  ['to_localhost', { type: 'other', values: [] }],
  ['to_linklocal', { type: 'other', values: [] }],
  ['CONNECT', { type: 'method', values: ['CONNECT'] }],
]

/** Throws `landing-zone.config-invalid`. The first rule that fits decides, so a refusal before a name is told. */
export function readSquid(config: ConfigFile, outcomes: Outcomes): AllowedHost[] {
  const place = { file: config.name, line: 0 }
  const acls = new Map<string, Acl>(predefined.map(([name, acl]) => [name, { ...acl, place }]))
  const allowed: AllowedHost[] = []
  for (const statement of statementsOf(config)) {
    const [keyword = ''] = statement.words
    if (keyword === 'acl') readAcl(statement, acls, config, outcomes)
    else if (keyword === 'http_access') allowed.push(...readAccess(statement, acls, outcomes))
    else if (notNeeded.test(keyword)) outcomes.notNeeded(statement, keyword, 'the proxy is gone')
    else outcomes.left(statement, keyword, unknownDirective)
  }
  return allowed
}

function statementsOf(config: ConfigFile): Statement[] {
  return linesOf(config).flatMap(({ text, ...place }) => {
    const words = text
      .replace(/(^|\s)#.*$/, '')
      .trim()
      .split(/\s+/)
    return words[0] ? [{ ...place, words }] : []
  })
}

function readAcl(statement: Statement, acls: Map<string, Acl>, config: ConfigFile, outcomes: Outcomes): void {
  const [, name = '', type = '', ...rest] = statement.words
  if (!name || !type) syntaxError(statement, 'an acl needs a name and a type.')
  const known = acls.get(name)
  if (known && known.place.line > 0 && known.type !== type) {
    syntaxError(statement, `acl "${name}" has another type on line ${known.place.line}.`)
  }
  const values = rest
    .filter((word) => word !== '-n' && word !== '--')
    .flatMap((word) => {
      if (!word.startsWith('"')) return [word]
      const [file] = config.read?.(word.replaceAll('"', '')) ?? []
      if (file) return file.text.split(/\r?\n/).flatMap((line) => line.replace(/#.*$/, '').trim() || [])
      outcomes.left(statement, `acl ${name}`, listMissing)
      return []
    })
  acls.set(name, {
    type,
    values: [...(known && known.place.line > 0 ? known.values : []), ...values],
    place: statement,
  })
  outcomes.carried(statement, 'acl', 'names of partners, or who may call them')
}

function readAccess(statement: Statement, acls: ReadonlyMap<string, Acl>, outcomes: Outcomes): AllowedHost[] {
  const [keyword = '', action = '', ...names] = statement.words
  if (action !== 'allow' && action !== 'deny') syntaxError(statement, 'http_access needs allow or deny.')
  const used = names.map((name) => {
    const acl = acls.get(name.replace(/^!/, ''))
    if (!acl) syntaxError(statement, `no acl is named "${name.replace(/^!/, '')}".`)
    return { ...acl, isNegated: name.startsWith('!') }
  })
  const label = `${keyword} ${action}`
  if (action === 'deny') {
    // Ports and addresses that nobody may use need no rule: what is not named is refused.
    const isNarrow = used.some(({ type, isNegated }) => !isNegated && (type === 'dstdomain' || type === 'dst'))
    if (isNarrow) outcomes.left(statement, label, exception)
    else outcomes.notNeeded(statement, label, 'what is not named is refused')
    return []
  }
  const positive = used.filter(({ isNegated }) => !isNegated)
  const domains = positive.filter(({ type }) => type === 'dstdomain')
  if (domains.length === 0) {
    const isOwn = positive.every(({ type, values }) => type === 'src' && values.every((one) => one.startsWith('127.')))
    if (isOwn && positive.length > 0 && positive.some(({ values }) => values.length > 0)) {
      outcomes.notNeeded(statement, label, 'the proxy is gone')
    } else outcomes.left(statement, label, withoutNames)
    return []
  }
  const others = used.filter(
    ({ type, isNegated }) => isNegated || !['dstdomain', 'src', 'port', 'method'].includes(type),
  )
  if (others.length > 0 || domains.length > 1) {
    outcomes.left(statement, label, otherConditions)
    return []
  }
  const ports = positive.filter(({ type }) => type === 'port').flatMap(({ values }) => values.map(Number))
  const from = positive
    .filter(({ type }) => type === 'src')
    .flatMap(({ values }) => values.flatMap((text) => rangeOf(text) ?? []))
  outcomes.carried(statement, label, 'egress of services')
  const { file, line } = statement
  return (domains[0]?.values ?? []).map((domain) => ({
    file,
    line,
    host: domain.startsWith('.') ? `*${domain}` : domain,
    ports: ports.filter((port) => port > 0 && port <= 65_535),
    from,
  }))
}

const unknownDirective: Left = {
  id: 'proxy-directive',
  title: 'A directive of the proxy has no successor here, or is not known.',
  remedy: 'Read it and decide: what it protected or changed is not in the templates.',
}
const listMissing: Left = {
  id: 'proxy-list',
  title: 'A file with names of partners was not found.',
  remedy: 'Run the translation where it stands, or give its content: its partners are not allowed otherwise.',
}
const exception: Left = {
  id: 'proxy-exception',
  title: 'Some names are refused before others are allowed: a list of what is allowed has no exceptions.',
  remedy: 'Where a wildcard covers a name that must be refused, write its names out as egress.',
}
const withoutNames: Left = {
  id: 'proxy-without-names',
  title: 'The proxy allows calls without naming whom: they are not carried.',
  remedy: 'Find the partners in the log of the proxy, and write each as egress with its reason.',
}
const otherConditions: Left = {
  id: 'proxy-conditions',
  title: 'Partners are allowed under a condition that an allow list cannot say.',
  remedy: 'Write them as egress of the services that call them.',
}
