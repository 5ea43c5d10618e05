/** Rules of a balancer and of its filter that say nothing, too much, or what a balancer cannot do. */
import type { Finding } from '@replatform/core/finding'
import type { LandingRoute, LandingService, LandingZone } from '@replatform/core/landing-zone-estate'
import { parseCidr } from './cidr.ts'
import { findingOn } from './finding-on.ts'

/** Over all conditions of a rule. Source: Elastic Load Balancing, "Quotas for your Application Load Balancers". */
export const conditionValuesMax = 5

export function routeFindings({ services }: LandingZone): Finding[] {
  const entries = Object.entries(services)
  const routes = entries.flatMap(([name, { routes = [] }]) =>
    routes.map((route, index) => ({ at: `${name}, rule ${index + 1}`, route })),
  )
  const wrong = (isWrong: (route: LandingRoute) => boolean) =>
    routes.filter(({ route }) => isWrong(route)).map(({ at }) => at)
  return [
    ...findingOn(
      wrong((route) => actionsIn(route) !== 1 || valuesIn(route) === 0),
      {
        id: 'landing-zone.route-unclear',
        severity: 'blocker',
        title: 'A rule of a balancer needs a condition and exactly one of to, deny and redirect.',
        remedy: 'Say when it holds (hosts, paths, methods, sources) and what it does.',
      },
    ),
    ...findingOn(
      wrong((route) => valuesIn(route) > conditionValuesMax),
      {
        id: 'landing-zone.route-too-large',
        severity: 'blocker',
        title: `A rule of a balancer holds ${conditionValuesMax} values over all its conditions.`,
        remedy: 'Divide it into several rules that do the same.',
      },
    ),
    ...findingOn(
      entries.filter(([, service]) => !mayFilter(service)).map(([name]) => name),
      {
        id: 'landing-zone.route-without-http',
        severity: 'blocker',
        title: 'Rules need a service over HTTP, and a filter one that the internet reaches.',
        remedy: 'Leave out routes or filter: for others the groups of who may come in decide.',
      },
    ),
    ...findingOn(
      routes.flatMap(({ at, route: { to } }) =>
        to !== undefined && services[to]?.protocol === 'tcp' ? [`${at}: ${to}`] : [],
      ),
      {
        id: 'landing-zone.route-to-tcp',
        severity: 'blocker',
        title: 'A rule leads to a service that does not speak HTTP.',
        remedy: 'Let clients reach it by its own balancer.',
      },
    ),
    ...findingOn(
      entries.flatMap(([name, service]) =>
        rangesIn(service).flatMap((text) => (parseCidr(text) ? [] : [`${name}: ${text}`])),
      ),
      {
        id: 'landing-zone.range-invalid',
        severity: 'blocker',
        title: 'A network is no IPv4 range, or has bits behind its prefix.',
        remedy: 'Write the lowest address of the range and its prefix: 10.20.0.0/16.',
      },
    ),
  ]
}

function actionsIn({ to, deny, redirect }: LandingRoute): number {
  return [to, deny, redirect].filter((action) => action !== undefined).length
}

function valuesIn({ hosts = [], paths = [], methods = [], sources = [] }: LandingRoute): number {
  return hosts.length + paths.length + methods.length + sources.length
}

function mayFilter({ protocol = 'http', from, routes = [], filter }: LandingService): boolean {
  const isHttp = protocol === 'http'
  return (isHttp || (routes.length === 0 && !filter)) && (!filter || from.includes('internet'))
}

function rangesIn({ routes = [], filter }: LandingService): string[] {
  return [...routes.flatMap(({ sources = [] }) => sources), ...(filter?.deny ?? []), ...(filter?.only ?? [])]
}
