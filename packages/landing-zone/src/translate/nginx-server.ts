import { type Block, syntaxError } from './config-text.ts'
import { divided, type Front, type FrontRoute, type Pool } from './front.ts'
import type { Limits } from './nginx.ts'
import { limitOther, memberOf, ordinaryNginx } from './nginx-directives.ts'
import type { Left, Outcome, Outcomes } from './outcome.ts'
import { isPrivate, rangeOf, rangeText } from './ranges.ts'

interface ServerOptions {
  readonly server: Block
  /** By name; a server adds what its locations name by address. */
  readonly pools: Map<string, Pool>
  readonly limits: Limits
  readonly outcomes: Outcomes
  readonly isHttp: boolean
}

interface Located {
  /** What nginx prefers comes first: exact, then the longest prefix. */
  readonly rank: number
  readonly routes: readonly FrontRoute[]
}

/** Rules of `allow` and `deny` in their order; what fits none may come. */
interface Access {
  readonly isAllowed: boolean
  readonly range: string
}

/** One `server`: its names, its locations, and whom it refuses. */
export class NginxServer {
  readonly #options: ServerOptions
  readonly #hosts: string[] = []
  readonly #located: Located[] = []
  readonly #listens: string[] = []
  #fallback: string | null = null
  #limit: number | undefined
  #idleTimeoutSeconds: number | undefined

  constructor(options: ServerOptions) {
    this.#options = options
  }

  /** None where it only leads to HTTPS. Throws `landing-zone.config-invalid`. */
  read(): Front[] {
    const { server, isHttp } = this.#options
    const { file, line, body } = server
    if (!body) syntaxError(server, 'a server needs a block.')
    const access: Access[] = []
    for (const block of body) this.#statement(block, access)
    if (this.#fallback === null && this.#located.length === 0) return []
    const routes = this.#located.toSorted((a, b) => b.rank - a.rank).flatMap((located) => located.routes)
    return [
      {
        name: this.#hosts[0] ?? `server-${line}`,
        file,
        line,
        isHttp,
        hosts: this.#hosts,
        routes: routes.flatMap(divided),
        fallback: this.#fallback,
        filter: { ...(this.#limit ? { requestsPerFiveMinutes: this.#limit } : {}), ...filterOf(access) },
        ...(this.#idleTimeoutSeconds ? { idleTimeoutSeconds: this.#idleTimeoutSeconds } : {}),
        isPrivate: this.#listens.length > 0 && this.#listens.every(isPrivateListen),
      },
    ]
  }

  #statement(block: Block, access: Access[]): void {
    const { outcomes } = this.#options
    const [keyword = '', value = '', ...rest] = block.words
    if (keyword === 'listen') this.#listen(block, value)
    else if (keyword === 'server_name') this.#names(block, [value, ...rest])
    else if (keyword === 'location') this.#location(block)
    else if (keyword === 'proxy_pass') {
      const pool = this.#pool(block, value)
      if (pool) this.#fallback = pool
    } else if (keyword === 'return' && rest.join(' ').startsWith('https://$') && value.startsWith('30')) {
      outcomes.notNeeded(block, keyword, 'only 443 is open')
    } else if (keyword === 'allow' || keyword === 'deny') this.#access(block, access)
    else this.#shared(block)
  }

  /** What servers and locations have in common. */
  #shared(block: Block): void {
    const { outcomes, limits } = this.#options
    const [keyword = '', ...words] = block.words
    if (keyword === 'limit_req') {
      const limit = limits.get(words.find((word) => word.startsWith('zone='))?.slice(5) ?? '')
      if (limit === undefined) syntaxError(block, 'limit_req names no zone that exists.')
      if (limit === null) outcomes.left(block, keyword, limitOther)
      else {
        this.#limit = Math.max(10, Math.min(this.#limit ?? limit, limit))
        outcomes.carried(block, keyword, 'limit of the web filter')
      }
    } else if (keyword === 'proxy_read_timeout' || keyword === 'proxy_timeout') {
      this.#idleTimeoutSeconds = secondsOf(block, words[0] ?? '')
      outcomes.carried(block, keyword, 'idleTimeoutSeconds')
    } else if (keyword === 'proxy_set_header') {
      if (/^(host|x-forwarded-(for|proto|port)|x-real-ip|connection|upgrade)$/i.test(words[0] ?? '')) {
        outcomes.notNeeded(block, keyword, 'the balancer passes the host on and sets X-Forwarded headers')
      } else outcomes.left(block, keyword, requestHeaders)
    } else ordinaryNginx(block, outcomes)
  }

  #listen(block: Block, value: string): void {
    const { outcomes, isHttp } = this.#options
    if (!value) syntaxError(block, 'listen names no port.')
    this.#listens.push(value)
    const port = /(?:^|:)(\d+)$/.exec(value)?.[1] ?? '80'
    if (port === '443') outcomes.carried(block, 'listen', 'listener on 443')
    else outcomes.left(block, 'listen', port === '80' && isHttp ? clearText : otherPort)
  }

  #names(block: Block, names: readonly string[]): void {
    const { outcomes } = this.#options
    const plain = names.filter((name) => name !== '_' && name !== '' && !name.startsWith('~'))
    this.#hosts.push(...plain.map((name) => (name.startsWith('.') ? `*${name}` : name)))
    if (names.some((name) => name.startsWith('~'))) outcomes.left(block, 'server_name', pattern)
    else outcomes.carried(block, 'server_name', 'names of the service')
  }

  #location(block: Block): void {
    const { outcomes } = this.#options
    const { words, body } = block
    const [, first = '', second = ''] = words
    const [modifier, path] = second ? [first, second] : ['', first]
    if (!path || !body) syntaxError(block, 'a location needs a path and a block.')
    const access: Access[] = []
    const found = this.#inside(body, access, path === '/' && !modifier.startsWith('~'))
    if (modifier.startsWith('~') || path.startsWith('@') || /[*?]/.test(path) || path.length > 120) {
      outcomes.left(block, 'location', modifier.startsWith('~') ? pattern : named)
      return
    }
    if (found === null) {
      outcomes.left(block, 'location', withoutTarget)
      return
    }
    const paths = [modifier === '=' ? path : `${path}*`]
    const rank = (modifier === '=' ? 10_000 : 0) + path.length
    const routes = locatedRoutes(paths, found, access)
    if (!routes) outcomes.left(block, 'location', accessOrder)
    else if (path === '/' && modifier !== '=' && 'to' in found && access.length === 0) {
      this.#fallback = found.to ?? null
      outcomes.carried(block, 'location', 'what the balancer passes on to')
    } else {
      this.#located.push({ rank, routes })
      outcomes.carried(block, 'location', 'rule of the balancer')
    }
  }

  /** What a location does with a request; null where a rule of a balancer cannot say it. */
  #inside(
    body: readonly Block[],
    access: Access[],
    isWhole: boolean,
  ): Pick<FrontRoute, 'to' | 'deny' | 'redirect'> | null {
    const { outcomes } = this.#options
    let found: Pick<FrontRoute, 'to' | 'deny' | 'redirect'> | null = null
    for (const block of body) {
      const [keyword = '', value = '', target = ''] = block.words
      if (keyword === 'proxy_pass') {
        const pool = this.#pool(block, isWhole ? value.replace(/\/$/, '') : value)
        if (pool) found ??= { to: pool }
      } else if (keyword === 'return') found = this.#answer(block, value, target) ?? found
      else if (keyword === 'allow' || keyword === 'deny') this.#access(block, access)
      else if (keyword === 'location') outcomes.left(block, keyword, nested)
      else this.#shared(block)
    }
    if (!found && access.length === 1 && access[0]?.range === 'all' && !access[0].isAllowed) return { deny: 403 }
    return found
  }

  #answer(block: Block, value: string, target: string): Pick<FrontRoute, 'deny' | 'redirect'> | null {
    const { outcomes } = this.#options
    const status = Number(value)
    if (status >= 400 && status <= 599 && !target) {
      outcomes.carried(block, 'return', 'refused by a rule of the balancer')
      return { deny: status }
    }
    const url = /^https:\/\/([^/$]+)(\/[^$]*)?(\$request_uri)?$/.exec(target)
    const isPath = /^\/[^$]*$/.test(target)
    if (![301, 302, 307, 308].includes(status) || !(url || isPath)) {
      outcomes.left(block, 'return', answers)
      return null
    }
    outcomes.carried(block, 'return', 'redirect by a rule of the balancer')
    const path = url?.[3] ? undefined : (url?.[2] ?? (isPath ? target : '/'))
    const permanent = status === 301 || status === 308
    return { redirect: { ...(url?.[1] ? { host: url[1] } : {}), ...(path ? { path } : {}), permanent } }
  }

  /** The pool that `proxy_pass` names; one is made for an address. Null where it changes the path or is computed. */
  #pool(block: Block, target: string): string | null {
    const { pools, outcomes, isHttp } = this.#options
    const match = isHttp ? /^https?:\/\/([^/]+)(\/.*)?$/.exec(target) : [target, target]
    if (!match) syntaxError(block, 'proxy_pass names no address.')
    const [, name = '', path] = match
    const isComputed = name.includes('$')
    if (isComputed || path) {
      outcomes.left(block, 'proxy_pass', isComputed ? computed : rewritten)
      return null
    }
    if (!pools.has(name)) {
      const member = memberOf(name)
      if (!member) syntaxError(block, 'proxy_pass names no upstream and no address.')
      const { file, line } = block
      const port = target.startsWith('https://') && !name.includes(':') ? 443 : member.port
      pools.set(name, { name, file, line, members: [{ ...member, port }] })
    }
    outcomes.carried(block, 'proxy_pass', 'targets of the balancer')
    return name
  }

  #access(block: Block, access: Access[]): Outcome {
    const { outcomes } = this.#options
    const [keyword = '', value = ''] = block.words
    const range = value === 'all' ? 'all' : rangeText(value)
    if (!value) syntaxError(block, `${keyword} names nobody.`)
    if (!range) return outcomes.left(block, keyword, addresses)
    access.push({ isAllowed: keyword === 'allow', range })
    return outcomes.carried(block, keyword, 'who may call, by the balancer or its filter')
  }
}

/** `allow …; deny all` in a location: let through from there, then refused. Null for other orders. */
function locatedRoutes(
  paths: string[],
  action: Pick<FrontRoute, 'to' | 'deny' | 'redirect'>,
  access: readonly Access[],
): FrontRoute[] | null {
  if (access.length === 0 || 'deny' in action) return [{ paths, ...action }]
  const ranges = access.filter(({ range }) => range !== 'all').map(({ range }) => range)
  const last = access.at(-1)
  const isOneKind = access.slice(0, -1).every(({ isAllowed }) => isAllowed !== last?.isAllowed)
  if (last?.range === 'all' && !last.isAllowed && isOneKind && ranges.length > 0) {
    return [
      { paths, sources: ranges, ...action },
      { paths, deny: 403 },
    ]
  }
  const isDenyOnly = access.every(({ isAllowed }) => !isAllowed)
  if (isDenyOnly && ranges.length === access.length) {
    return [
      { paths, sources: ranges, deny: 403 },
      { paths, ...action },
    ]
  }
  return null
}

function filterOf(access: readonly Access[]): Pick<Front['filter'], 'deny' | 'only'> {
  const ranges = (isAllowed: boolean) =>
    access.filter((one) => one.isAllowed === isAllowed && one.range !== 'all').map(({ range }) => range)
  const isClosed = access.some(({ isAllowed, range }) => !isAllowed && range === 'all')
  return {
    ...(ranges(false).length > 0 ? { deny: ranges(false) } : {}),
    ...(isClosed && ranges(true).length > 0 ? { only: ranges(true) } : {}),
  }
}

function isPrivateListen(value: string): boolean {
  const range = rangeOf(value.replace(/:\d+$/, ''))
  return range !== null && isPrivate(range)
}

function secondsOf(block: Block, text: string): number {
  const match = /^(\d+)(ms|s|m|h)?$/.exec(text)
  if (!match) syntaxError(block, 'a timeout is no time.')
  const unit = { ms: 1e-3, s: 1, m: 60, h: 3_600 }[match[2] ?? 's'] ?? 1
  return Math.min(4_000, Math.max(1, Math.round(Number(match[1]) * unit)))
}

const clearText: Left = {
  id: 'nginx-clear-text',
  severity: 'note',
  title: 'Port 80 is not opened: only 443 is.',
  remedy: 'Nothing for clients that speak HTTPS. Others get no answer and no redirect; tell them.',
}
const otherPort: Left = {
  id: 'nginx-port',
  title: 'Balancers listen on 443 only.',
  remedy: 'Move its clients to 443, or make it a service of its own with a name of its own.',
}
const pattern: Left = {
  id: 'nginx-pattern',
  title: 'A name or path is matched by a regular expression: its requests go to the default.',
  remedy: 'Write it as paths with * and ? in routes of estate.yaml.',
}
const named: Left = {
  id: 'nginx-location',
  title: 'A location cannot be said as a path of a balancer.',
  remedy: 'Write it as a route of the service in estate.yaml.',
}
const nested: Left = {
  id: 'nginx-nested-location',
  title: 'A location stands inside another.',
  remedy: 'Write it beside the other one, or as a route in estate.yaml.',
}
const withoutTarget: Left = {
  id: 'nginx-location-target',
  title: 'A location leads to no machine that a balancer can pass on to.',
  remedy: 'See the findings about what stands in it.',
}
const accessOrder: Left = {
  id: 'nginx-access',
  title: 'Who may call is said in an order that rules of a balancer cannot repeat: the whole location is left out.',
  remedy: 'Write it as routes with sources in estate.yaml.',
}
const addresses: Left = {
  id: 'nginx-addresses',
  title: 'Who may call is said by something other than IPv4 addresses.',
  remedy: 'Write the ranges as sources, deny or only in estate.yaml.',
}
const computed: Left = {
  id: 'nginx-computed-target',
  title: 'Where a request goes is computed.',
  remedy: 'Write the choices out as routes of the service in estate.yaml.',
}
const rewritten: Left = {
  id: 'nginx-path-changed',
  title: 'The path is changed on its way to the service.',
  remedy: 'Let the service answer under the outer path, then write the route in estate.yaml.',
}
const requestHeaders: Left = {
  id: 'nginx-request-headers',
  title: 'The service is told a header that the balancer does not set.',
  remedy: 'Let the service do without it.',
}
const answers: Left = {
  id: 'nginx-answers',
  title: 'nginx answers requests by itself.',
  remedy: 'Let the service answer.',
}
