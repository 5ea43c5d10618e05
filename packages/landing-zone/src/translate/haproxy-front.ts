import { type ConfigFile, type Statement, syntaxError } from './config-text.ts'
import { divided, type Front, type FrontRoute } from './front.ts'
import type { Defaults } from './haproxy.ts'
import { type Condition, type Criterion, conditionOf, criterionOf, type Term } from './haproxy-conditions.ts'
import { ordinary } from './haproxy-keywords.ts'
import type { Section } from './haproxy-parser.ts'
import type { Outcome, Outcomes } from './outcome.ts'
import { isPrivate, rangeOf } from './ranges.ts'

interface FrontOptions extends Defaults {
  readonly config: ConfigFile
  readonly section: Section
  /** Names of backends. */
  readonly pools: ReadonlySet<string>
  readonly outcomes: Outcomes
}

const keywords = [
  'bind',
  'acl',
  'use_backend',
  'default_backend',
  'http-request',
  'tcp-request',
  'redirect',
  'stick-table',
]

/** One `frontend` or `listen`: where it listens, what it refuses, and who answers. */
export class HaproxyFront {
  readonly #options: FrontOptions
  readonly #acls = new Map<string, Criterion[]>()
  readonly #denials: FrontRoute[] = []
  readonly #choices: FrontRoute[] = []
  readonly #refused: string[] = []
  #only: string[] = []
  #limit: number | undefined
  #periodSeconds = 300
  #fallback: string | null = null

  constructor(options: FrontOptions) {
    this.#options = options
  }

  /** What a front reads; a pool of the same section leaves it alone. */
  static knows({ words: [keyword = ''] }: Statement): boolean {
    return keywords.includes(keyword)
  }

  /** Throws `landing-zone.config-invalid`. */
  read(): Front {
    const { section, isHttp, idleTimeoutSeconds } = this.#options
    const { name, file, line, statements, kind } = section
    if (kind === 'listen') this.#fallback = name
    for (const statement of statements) if (statement.words[0] === 'acl') this.#acl(statement)
    for (const statement of statements) this.#statement(statement)
    const binds = statements.filter(({ words }) => words[0] === 'bind')
    return {
      name,
      file,
      line,
      isHttp,
      hosts: [],
      routes: [...this.#denials, ...this.#choices].flatMap(divided),
      fallback: this.#fallback,
      filter: {
        ...(this.#limit ? { requestsPerFiveMinutes: this.#limit } : {}),
        ...(this.#refused.length > 0 ? { deny: this.#refused } : {}),
        ...(this.#only.length > 0 ? { only: this.#only } : {}),
      },
      ...(idleTimeoutSeconds ? { idleTimeoutSeconds } : {}),
      isPrivate: binds.length > 0 && binds.every(({ words }) => isPrivateBind(words[1] ?? '')),
    }
  }

  /** Null for what the pool of the same section has told. */
  #statement(statement: Statement): Outcome | null {
    const { outcomes, pools, section } = this.#options
    const [keyword = '', value = '', ...rest] = statement.words
    switch (keyword) {
      case 'acl':
        return outcomes.carried(statement, keyword, 'conditions of rules')
      case 'bind':
        return this.#bind(statement)
      case 'default_backend':
        if (!pools.has(value)) syntaxError(statement, `there is no backend "${value}".`)
        this.#fallback = value
        return outcomes.carried(statement, keyword, 'what the balancer of the service passes on to')
      case 'use_backend':
        if (/[%{[]/.test(value)) return outcomes.left(statement, keyword, computed)
        if (!pools.has(value)) syntaxError(statement, `there is no backend "${value}".`)
        return this.#choose(statement, this.#condition(rest, statement), { to: value })
      case 'redirect':
        return this.#redirect(statement, [value, ...rest])
      case 'http-request':
        return this.#request(statement, value, rest)
      case 'tcp-request':
        return this.#connection(statement, rest)
      case 'stick-table':
        return this.#table(statement)
      default:
        // What concerns machines, the pool of a `listen` has told already.
        return section.kind === 'frontend' ? ordinary(statement, outcomes) : null
    }
  }

  #acl(statement: Statement): void {
    const [, name = '', ...test] = statement.words
    if (!name || test.length === 0) syntaxError(statement, 'an acl needs a name and a test.')
    const criterion = criterionOf(test, this.#source(statement))
    this.#acls.set(name, [...(this.#acls.get(name) ?? []), criterion])
  }

  #bind(statement: Statement): Outcome {
    const { outcomes } = this.#options
    const [, address = '', ...settings] = statement.words
    const port = /:(\d+)(?:-\d+)?$/.exec(address)?.[1]
    if (!address || (port === undefined && !/^(unix@|\/|abns@|fd@)/.test(address))) {
      syntaxError(statement, 'bind needs an address with a port.')
    }
    if (settings.includes('verify') && settings[settings.indexOf('verify') + 1] !== 'none') {
      outcomes.left(statement, 'bind … verify', clientCertificates)
    }
    if (settings.includes('accept-proxy')) outcomes.left(statement, 'bind … accept-proxy', acceptProxy)
    if (port === '443') return outcomes.carried(statement, 'bind', 'listener on 443')
    return outcomes.left(statement, 'bind', port === '80' ? clearText : otherPort)
  }

  #request(statement: Statement, action: string, rest: readonly string[]): Outcome {
    const { outcomes } = this.#options
    if (action === 'redirect') return this.#redirect(statement, rest)
    if (action.startsWith('track-sc')) {
      if (rest[0] === 'src') return outcomes.carried(statement, action, 'limit of the web filter')
      return outcomes.left(statement, action, limitOther)
    }
    if (action === 'deny' || action === 'return' || action === 'tarpit') {
      const start = rest.findIndex((word) => word === 'if' || word === 'unless')
      const settings = start < 0 ? rest : rest.slice(0, start)
      const status = Number(settings[Math.max(settings.indexOf('deny_status'), settings.indexOf('status')) + 1] ?? 403)
      const deny = status >= 400 && status <= 599 ? status : action === 'return' ? null : 403
      if (deny === null) return outcomes.left(statement, `http-request ${action}`, answers)
      return this.#deny(statement, this.#condition(start < 0 ? [] : rest.slice(start), statement), deny)
    }
    const header = (rest[0] ?? '').toLowerCase()
    if (/^(set|add|del)-header$/.test(action) && /^x-forwarded-(proto|port|for)$/.test(header)) {
      return outcomes.notNeeded(statement, `http-request ${action}`, 'the balancer sets these headers')
    }
    return outcomes.left(statement, `http-request ${action}`, changesRequest)
  }

  #connection(statement: Statement, rest: readonly string[]): Outcome {
    const { outcomes } = this.#options
    const [stage] = statement.words.slice(1)
    const [action = '', ...condition] = rest
    if (stage === 'inspect-delay') return outcomes.notNeeded(statement, 'inspect-delay', 'the balancer reads by itself')
    if (action === 'reject') return this.#deny(statement, this.#condition(condition, statement), 403)
    if (action.startsWith('track-sc')) return outcomes.carried(statement, action, 'limit of the web filter')
    return outcomes.left(statement, `tcp-request ${stage} ${action}`.trim(), changesRequest)
  }

  /** `stick-table type ip … store http_req_rate(10s)`: the period that a limit counts over. */
  #table(statement: Statement): Outcome {
    const { outcomes } = this.#options
    const period = /http_req_rate\((\d+)(ms|s|m|h)?\)/.exec(statement.words.join(' '))
    if (!period) return outcomes.left(statement, 'stick-table', limitOther)
    const unit = { ms: 1e-3, s: 1, m: 60, h: 3_600 }[period[2] ?? 'ms'] ?? 1
    this.#periodSeconds = Math.max(1e-3, Number(period[1]) * unit)
    return outcomes.carried(statement, 'stick-table', 'limit of the web filter, over five minutes')
  }

  #redirect(statement: Statement, words: readonly string[]): Outcome {
    const { outcomes } = this.#options
    const [kind = '', target = ''] = words
    if (kind === 'scheme') return outcomes.notNeeded(statement, 'redirect scheme', 'only 443 is open')
    const url = /^https:\/\/([^/%]+)(\/[^%]*)?$/.exec(target)
    const start = words.findIndex((word) => word === 'if' || word === 'unless')
    if ((kind !== 'location' && kind !== 'prefix') || (!url && !/^\/[^%]*$/.test(target)) || start < 0) {
      return outcomes.left(statement, `redirect ${kind}`, redirects)
    }
    const code = words[words.indexOf('code') + 1]
    const path = kind === 'location' ? (url ? (url[2] ?? '/') : target) : undefined
    const permanent = words.includes('code') && (code === '301' || code === '308')
    return this.#choose(statement, this.#condition(words.slice(start), statement), {
      redirect: { ...(url?.[1] ? { host: url[1] } : {}), ...(path ? { path } : {}), permanent },
    })
  }

  /** A rule of the balancer for each alternative, or nothing of it: half a rule would be another rule. */
  #choose(statement: Statement, condition: Condition, action: Pick<FrontRoute, 'to' | 'redirect'>): Outcome {
    const { outcomes } = this.#options
    const [keyword = ''] = statement.words
    if (condition.some((terms) => terms.length === 0) && action.to) {
      // Without a condition it always holds, so that nothing behind it is reached.
      this.#fallback ??= action.to
      return outcomes.carried(statement, keyword, 'what the balancer passes on to')
    }
    const routes = condition.map((terms) => routeOf(terms))
    if (routes.includes(null))
      return outcomes.left(statement, keyword, condition.some(isUnknown) ? untestable : negated)
    this.#choices.push(...routes.filter((route) => route !== null).map((route) => ({ ...route, ...action })))
    return outcomes.carried(statement, keyword, 'rule of the balancer')
  }

  #deny(statement: Statement, condition: Condition, deny: number): Outcome {
    const { outcomes } = this.#options
    const keyword = statement.words.slice(0, statement.words[0] === 'tcp-request' ? 3 : 2).join(' ')
    const carried = condition.map((terms) => this.#denial(terms, deny))
    if (carried.every(Boolean)) return outcomes.carried(statement, keyword, 'refused by the balancer or its filter')
    return outcomes.left(statement, keyword, notRefused)
  }

  /** One alternative of what is refused: by the filter where only the address or the rate counts, else by a rule. */
  #denial(terms: readonly Term[], deny: number): boolean {
    const [first] = terms
    if (!first) return false
    const { criterion, isNegated } = first
    if (terms.length === 1 && criterion.kind === 'sources') {
      if (isNegated) this.#only.push(...criterion.values)
      else this.#refused.push(...criterion.values)
      return true
    }
    if (terms.length === 1 && criterion.kind === 'rate' && !isNegated) {
      const limit = Math.max(10, Math.round((criterion.above * 300) / this.#periodSeconds))
      this.#limit = Math.min(this.#limit ?? limit, limit)
      return true
    }
    const route = routeOf(terms)
    if (!route) return false
    this.#denials.push({ ...route, deny })
    return true
  }

  #condition(words: readonly string[], statement: Statement): Condition {
    return conditionOf(words, this.#source(statement))
  }

  #source(statement: Statement) {
    const { config } = this.#options
    return {
      place: statement,
      acls: this.#acls,
      valuesIn: (file: string) => {
        const [found] = config.read?.(file) ?? []
        return found ? found.text.split(/\r?\n/).flatMap((line) => line.trim().replace(/^#.*/, '') || []) : null
      },
    }
  }
}

/** Null where a term cannot be said by a rule of a balancer, or would leave nothing to test. */
function routeOf(terms: readonly Term[]): FrontRoute | null {
  const route: { hosts?: string[]; paths?: string[]; methods?: string[]; sources?: string[] } = {}
  for (const { criterion, isNegated } of terms) {
    if (criterion.kind === 'tls' && !isNegated) continue
    if (isNegated || !('values' in criterion) || route[criterion.kind]) return null
    route[criterion.kind] = [...criterion.values]
  }
  return Object.keys(route).length > 0 ? route : null
}

function isUnknown(terms: readonly Term[]): boolean {
  return terms.some(({ criterion: { kind } }) => kind === 'unknown' || kind === 'rate')
}

function isPrivateBind(address: string): boolean {
  const range = rangeOf(address.replace(/:\d+(-\d+)?$/, ''))
  return range !== null && isPrivate(range)
}

const clearText = {
  id: 'haproxy-clear-text',
  severity: 'note',
  title: 'Port 80 is not opened: only 443 is.',
  remedy: 'Nothing for clients that speak HTTPS. Others get no answer and no redirect; tell them.',
} as const
const otherPort = {
  id: 'haproxy-port',
  title: 'Balancers listen on 443 only.',
  remedy: 'Move its clients to 443, or make it a service of its own with a name of its own.',
}
const clientCertificates = {
  id: 'haproxy-client-certificates',
  title: 'Clients prove themselves by certificates here, and would not have to any more.',
  remedy: 'Let the service ask for them behind a network balancer (protocol: tcp), or use mutual TLS of the balancer.',
}
const acceptProxy = {
  id: 'haproxy-proxy-protocol',
  title: 'Something in front tells the client’s address by the PROXY protocol.',
  remedy: 'Take it out of the way: the balancer meets the clients itself.',
}
const computed = {
  id: 'haproxy-computed-backend',
  title: 'A backend is chosen by a computed name or a map.',
  remedy: 'Write the choices out as routes of the service in estate.yaml.',
}
const limitOther = {
  id: 'haproxy-limits',
  title: 'A limit counts something other than requests by address.',
  remedy: 'Let the service limit it, or write a rule of the web filter.',
}
const answers = {
  id: 'haproxy-answers',
  title: 'HAProxy answers requests by itself.',
  remedy: 'Let the service answer.',
}
const changesRequest = {
  id: 'haproxy-changes-request',
  title: 'A request is changed, or judged, in a way that a balancer of AWS cannot.',
  remedy: 'Do it in the service; headers that it relied on do not arrive.',
}
const redirects = {
  id: 'haproxy-redirect',
  title: 'A redirect is computed, or has no condition.',
  remedy: 'Write it as a route of the service in estate.yaml, or redirect in the service.',
}
const untestable = {
  id: 'haproxy-condition',
  title: 'A condition tests what a rule of a balancer cannot: its requests go to the default.',
  remedy: 'Decide in the service, or give that traffic a name of its own.',
}
const negated = {
  id: 'haproxy-negation',
  title: 'A rule of a balancer cannot say "not": its requests go to the default.',
  remedy: 'Write the other cases out as routes in estate.yaml.',
}
const notRefused = {
  id: 'haproxy-not-refused',
  title: 'What was refused here is not refused by the templates.',
  remedy: 'Refuse it in the service before the switch, or write it as a route or filter in estate.yaml.',
}
