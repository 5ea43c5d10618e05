import type { Log, RouteDeclaration } from '@replatform/core/connector'
import type { Estate, EstateStore, EstateWave } from '@replatform/core/estate'
import type { Routing } from '@replatform/core/routing'
import type { Clock } from '@replatform/engine/clock'
import type { DecisionStore } from '@replatform/engine/decision-store'
import type { Approvals } from './approvals.ts'
import type { AuditLog } from './audit-log.ts'
import type { GuardChannel, GuardOrder } from './cutover-guard.ts'
import type { CutoverIntents } from './cutover-intents.ts'
import type { CutoverRecords } from './cutover-records.ts'
import type { Incidents } from './incidents.ts'
import type { Journal } from './journal.ts'
import type { MoveRecords } from './move-records.ts'
import type { MoverLink } from './mover-process.ts'
import type { News } from './notifications.ts'
import type { OperationRecords } from './operation-records.ts'
import type { Rehearsals } from './rehearsals.ts'

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
  /** Copies of both for a rehearsal, where the estate names some. */
  createCopies(of: EstateStore | EstateWave): readonly Routing[] | Promise<readonly Routing[]>
}

/** What the parts of a worker share. */
export interface Services {
  readonly estate: Estate
  readonly moves: MoveRecords
  readonly cutovers: CutoverRecords
  readonly operations: OperationRecords
  readonly journal: Journal
  readonly audit: AuditLog
  readonly approvals: Approvals
  readonly incidents: Incidents
  readonly rehearsals: Rehearsals
  readonly decisions: DecisionStore
  readonly intents: CutoverIntents
  /** The process that guards a cutover, and where it finds decisions; null where none is wanted. */
  readonly guard: (Pick<GuardOrder, 'decisionsPath' | 'stateDirectory'> & { readonly spawn: () => GuardChannel }) | null
  readonly connectors: Connectors
  readonly startMover: (move: string) => MoverLink
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
