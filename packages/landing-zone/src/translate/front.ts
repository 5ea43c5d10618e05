/** What a balancer of the old site says, whichever program it is: the middle between HAProxy, nginx and the estate. */
import type { LandingRoute, LandingService } from '@replatform/core/landing-zone-estate'
import type { Place } from './config-text.ts'

/** Machines that answer for one thing: a backend of HAProxy, an upstream of nginx. */
export interface Pool extends Place {
  readonly name: string
  readonly members: readonly Member[]
  readonly health?: string
  readonly balance?: NonNullable<LandingService['balance']>
  readonly sticky?: boolean
}

export interface Member {
  /** A name where it is no address. */
  readonly host: string
  readonly port: number
}

/** Where requests come in. */
export interface Front extends Place {
  readonly name: string
  readonly isHttp: boolean
  /** Names that it answers to; none means all. */
  readonly hosts: readonly string[]
  /** In the order in which they are looked at. `to` names a pool. */
  readonly routes: readonly Omit<LandingRoute, 'reason'>[]
  /** The pool that answers what fits no rule; null where nothing does. */
  readonly fallback: string | null
  readonly filter: Omit<NonNullable<LandingService['filter']>, 'reason'>
  readonly idleTimeoutSeconds?: number
  /** Whether it listens on addresses that only the house can reach. */
  readonly isPrivate: boolean
}

export type FrontRoute = Front['routes'][number]

export interface Fronts {
  readonly fronts: readonly Front[]
  readonly pools: readonly Pool[]
}

const valuesMax = 5

/** A rule holds five values over all its conditions: the longest list is divided, since values of one are alternatives. */
export function divided(route: FrontRoute): FrontRoute[] {
  const kinds = ['hosts', 'paths', 'methods', 'sources'] as const
  const count = kinds.reduce((sum, kind) => sum + (route[kind]?.length ?? 0), 0)
  if (count <= valuesMax) return [route]
  const longest = kinds.toSorted((a, b) => (route[b]?.length ?? 0) - (route[a]?.length ?? 0))[0] ?? 'paths'
  const values = route[longest] ?? []
  const half = Math.ceil(values.length / 2)
  if (values.length < 2) return [route]
  return [values.slice(0, half), values.slice(half)].flatMap((part) => divided({ ...route, [longest]: part }))
}
