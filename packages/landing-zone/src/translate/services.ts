import type { LandingRoute, LandingService, LandingZone } from '@replatform/core/landing-zone-estate'
import { at } from './config-text.ts'
import type { Front, Pool } from './front.ts'
import type { Left, Outcomes } from './outcome.ts'
import { rangeOf } from './ranges.ts'

type Mutable<Type> = { -readonly [Key in keyof Type]: Type[Key] }
type Draft = Mutable<LandingService>

/** Services as they grow out of old configurations; what the estate says about one already is never overruled. */
export class Services {
  readonly #drafts = new Map<string, Draft>()
  /** Those that the estate describes. */
  readonly #known: ReadonlySet<string>
  readonly #fronts = new Map<string, Front[]>()
  readonly #outcomes: Outcomes

  constructor({ services }: Pick<LandingZone, 'services'>, outcomes: Outcomes) {
    for (const [name, service] of Object.entries(services)) this.#drafts.set(name, structuredClone(service) as Draft)
    this.#known = new Set(Object.keys(services))
    this.#outcomes = outcomes
  }

  all(): Record<string, LandingService> {
    return Object.fromEntries(this.#drafts)
  }

  find(name: string): Draft | undefined {
    return this.#drafts.get(name)
  }

  hasFront(name: string): boolean {
    return this.#fronts.has(name)
  }

  /** Call once for each configuration: names of pools are its own. */
  add(pools: readonly Pool[], fronts: readonly Front[]): void {
    const used = new Set(fronts.flatMap(({ routes, fallback }) => [fallback, ...routes.map(({ to }) => to)]))
    const names = new Map<string, string>()
    for (const pool of pools) {
      if (used.has(pool.name)) names.set(pool.name, this.#service(pool))
      else this.#outcomes.left(pool, `pool ${pool.name}`, unused)
    }
    for (const front of fronts) this.#front(front, names)
  }

  /** Everything with its defaults, and what only a person can say as findings. */
  finished(hasFirewall: boolean): Record<string, LandingService> {
    for (const [name, fronts] of this.#fronts) {
      const draft = this.#drafts.get(name) as Draft
      for (const front of fronts) {
        if (!front.isPrivate && !hasFirewall && !this.#known.has(name)) this.#outcomes.left(front, front.name, whoCalls)
      }
      const isPublic = draft.from.includes('internet')
      if (isPublic && !draft.host) {
        draft.from = draft.from.filter((from) => from !== 'internet')
        this.#outcomes.left(fronts[0] as Front, name, hostNeeded)
      }
      if (draft.filter && (draft.protocol === 'tcp' || !draft.from.includes('internet'))) {
        delete draft.filter
        this.#outcomes.left(fronts[0] as Front, name, filterInside)
      }
    }
    for (const draft of this.#drafts.values()) if (draft.from.length === 0) draft.from = ['services']
    return this.all()
  }

  #service(pool: Pool): string {
    const addresses = pool.members.flatMap(({ host }) => (rangeOf(host) ? [host] : []))
    const name = this.#nameOf(pool, addresses)
    const ports = new Set(pool.members.map(({ port }) => port))
    const [port = 443] = ports
    const draft: Draft = this.#drafts.get(name) ?? {
      port,
      from: [],
      // A size is nothing that a balancer knows.
      instances: { type: 'm7i.large', least: Math.max(1, pool.members.length) },
      reason: `Carried over from ${at(pool)}: say here what it is for.`,
    }
    if (ports.size > 1 || draft.port !== port) this.#outcomes.left(pool, `ports of ${pool.name}`, otherPorts)
    if (pool.members.length === 0) this.#outcomes.left(pool, `pool ${pool.name}`, empty)
    if (pool.members.some(({ host }) => !rangeOf(host))) this.#outcomes.left(pool, `names in ${pool.name}`, byName)
    this.#drafts.set(name, {
      ...(pool.health ? { health: pool.health } : {}),
      ...(pool.balance ? { balance: pool.balance } : {}),
      ...(pool.sticky ? { sticky: true } : {}),
      ...draft,
      ...(addresses.length > 0 ? { oldAddresses: [...new Set([...(draft.oldAddresses ?? []), ...addresses])] } : {}),
    })
    if (!this.#known.has(name)) this.#outcomes.left(pool, name, sizeUnknown)
    return name
  }

  /** Of the estate's services the one that has its name, or answers at one of its addresses. */
  #nameOf({ name }: Pool, addresses: readonly string[]): string {
    const plain = name
      .toLowerCase()
      .replace(/^(be|bk|bck|backend|upstream|pool)[_-]+/, '')
      .replaceAll(/[^a-z0-9]+/g, '-')
      .replaceAll(/^[^a-z]+|-+$/g, '')
      .slice(0, 40)
    const atAddress = [...this.#drafts].find(([, { oldAddresses = [] }]) =>
      oldAddresses.some((address) => addresses.includes(address)),
    )
    return atAddress?.[0] ?? (plain || `service-${this.#drafts.size + 1}`)
  }

  #front(front: Front, names: ReadonlyMap<string, string>): void {
    const targets = [front.fallback, ...front.routes.map(({ to }) => to)].flatMap((pool) => names.get(pool ?? '') ?? [])
    const [owner] = targets
    const draft = owner && this.#drafts.get(owner)
    if (!owner || !draft) {
      this.#outcomes.left(front, front.name, leadsNowhere)
      return
    }
    const before = this.#fronts.get(owner) ?? []
    this.#fronts.set(owner, [...before, front])
    if (!front.isHttp && !this.#known.has(owner)) draft.protocol = 'tcp'
    if (front.isPrivate && !draft.from.includes('on-premises') && !this.#known.has(owner)) {
      draft.from = [...draft.from, 'on-premises']
    }
    this.#names(front, draft)
    const routes = this.#routes(front, names, before.length > 0)
    if (routes.length > 0) draft.routes = [...(draft.routes ?? []), ...routes]
    if (front.idleTimeoutSeconds) draft.idleTimeoutSeconds ??= front.idleTimeoutSeconds
    if (Object.keys(front.filter).length > 0) {
      draft.filter ??= { ...structuredClone(front.filter), reason: `Carried over from ${at(front)}.` } as NonNullable<
        Draft['filter']
      >
    }
  }

  #names(front: Front, draft: Draft): void {
    const plain = front.hosts.filter((host) => !host.includes('*'))
    draft.host ??= plain[0] as string
    if (draft.host === undefined) delete draft.host
    const others = front.hosts.filter((host) => host !== draft.host)
    if (others.length > 0) this.#outcomes.left(front, others.join(', '), moreNames)
  }

  #routes(front: Front, names: ReadonlyMap<string, string>, isSecond: boolean): LandingRoute[] {
    const reason = `Carried over from ${at(front)}.`
    const hosts = isSecond && front.hosts.length > 0 && front.hosts.length <= 2 ? [...front.hosts] : undefined
    const routes = front.routes.flatMap(({ to, ...route }): LandingRoute[] => {
      const service = to === undefined ? undefined : names.get(to)
      if (to !== undefined && !service) return []
      return [
        {
          ...(hosts ? { hosts } : {}),
          ...structuredClone(route as LandingRoute),
          ...(service ? { to: service } : {}),
          reason,
        },
      ]
    })
    // Without a default the old balancer answered 503 to what fitted no rule.
    if (front.fallback === null) routes.push({ ...(hosts ? { hosts } : {}), paths: ['*'], deny: 503, reason })
    return routes
  }
}

const unused: Left = {
  id: 'pool-unused',
  severity: 'note',
  title: 'Nothing leads to these machines.',
  remedy: 'Leave them, or describe them as a service in estate.yaml.',
}
const leadsNowhere: Left = {
  id: 'front-without-pool',
  title: 'Requests come in here and reach no machine that could be carried.',
  remedy: 'See the other findings of its lines.',
}
const otherPorts: Left = {
  id: 'ports-differ',
  title: 'The machines of one service do not answer at one port, or at another than the estate says.',
  remedy: 'A service has one port: let all its machines answer there, on TLS.',
}
const empty: Left = {
  id: 'pool-empty',
  title: 'No machine of the service could be read.',
  remedy: 'Say its port and how many it has in estate.yaml.',
}
const byName: Left = {
  id: 'machines-by-name',
  severity: 'note',
  title: 'Machines are named, not addressed: firewall rules about their addresses are not recognised.',
  remedy: 'Add oldAddresses to the service in estate.yaml and translate again.',
}
const sizeUnknown: Left = {
  id: 'size-unknown',
  title: 'A balancer knows neither the size of machines nor what a service is for.',
  remedy: 'Correct instances.type and reason of the service: m7i.large is a guess.',
}
const whoCalls: Left = {
  id: 'callers-unknown',
  title: 'Who may call it is not said here: nobody from outside may.',
  remedy: 'Add internet or on-premises to `from`, or translate the firewall rules too.',
}
const hostNeeded: Left = {
  id: 'host-needed',
  title: 'The internet reached it, and its public name stands in no configuration: it stays closed.',
  remedy: 'Give it `host` and add internet to `from`.',
}
const filterInside: Left = {
  id: 'filter-inside',
  title: 'Limits and refused addresses are for services that the internet reaches over HTTP; this one is not.',
  remedy: 'Nothing where only the house calls it; else add internet to `from` and translate again.',
}
const moreNames: Left = {
  id: 'more-names',
  title: 'A service has one name in its zone; it answered to more.',
  remedy: 'Point the other names at the first, with a certificate that holds them.',
}
