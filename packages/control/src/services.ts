import type { Log, RouteDeclaration } from '@replatform/core/connector'
import type { Estate, EstateStore, EstateWave } from '@replatform/core/estate'
import type { Routing, RoutingCopy } from '@replatform/core/routing'
import type { Clock } from '@replatform/engine/clock'
import type { StepName } from '@replatform/engine/cutover-steps'
import type { DecisionStore } from '@replatform/engine/decision-store'
import type { ControlRecords } from './control-records.ts'
import type { GuardChannel, GuardOrder } from './cutover-guard.ts'
import type { CutoverIntents } from './cutover-intents.ts'
import type { MoverLink } from './mover-process.ts'
import type { News } from './notifications.ts'

/** What is special to connectors and therefore given to the control plane by its caller. */
export interface RouteDescription {
  /** `postgresql→postgresql`. */
  readonly name: string
  readonly declares: RouteDeclaration
}

export interface Connectors {
  /** Throws `estate.no-route`. */
  describeRoute(store: EstateStore): RouteDescription
  /** The switchover points of a store; secrets are resolved by whoever is called. */
  createRoutings(store: EstateStore): readonly Routing[] | Promise<readonly Routing[]>
  /** The switchover points in front of a wave as a whole. */
  createGateways(wave: EstateWave): readonly Routing[] | Promise<readonly Routing[]>
  /** A copy of each of both, for a rehearsal. Does not throw: what cannot be copied says why. */
  createCopies(of: EstateStore | EstateWave): readonly RoutingCopy[] | Promise<readonly RoutingCopy[]>
}

export interface CutoverMoment {
  readonly cutover: string
  readonly when: 'before' | 'after'
  readonly step: StepName
}

/** What the parts of a worker share. */
export interface Services extends ControlRecords {
  readonly estate: Estate
  readonly decisions: DecisionStore
  readonly intents: CutoverIntents
  /** The process that guards a cutover, and where it finds decisions; null where none is wanted. */
  readonly guard: (Pick<GuardOrder, 'decisionsPath' | 'stateDirectory'> & { readonly spawn: () => GuardChannel }) | null
  readonly connectors: Connectors
  readonly startMover: (move: string) => MoverLink
  /** Told of each step of a cutover as it begins and ends; the journal is written behind it. Returns at once. */
  readonly onStep: (moment: CutoverMoment) => void
  /** Returns at once. */
  readonly tell: (news: News) => void
  readonly clock: Clock
  /** Unique for ever. */
  readonly newId: () => string
  readonly log: Log
}

/** Time of day for records that people read. */
export function isoNow(clock: Clock): string {
  return new Date(clock.wallTime()).toISOString()
}
