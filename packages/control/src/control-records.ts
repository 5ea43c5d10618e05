import type { MoveState } from '@replatform/core/move'
import type { Approvals } from './approvals.ts'
import type { AuditLog } from './audit-log.ts'
import type { CutoverRecords } from './cutover-records.ts'
import type { Incidents } from './incidents.ts'
import type { Journal } from './journal.ts'
import type { MoveRecord, MoveRecords } from './move-records.ts'
import type { OperationRecords } from './operation-records.ts'
import type { Rehearsals } from './rehearsals.ts'

/** What may be asked of a class, without what it is made of: so that something else can stand in its place. */
type Face<Class> = Pick<Class, keyof Class>

export interface MoveStore extends Omit<Face<MoveRecords>, 'transition' | 'restore'> {
  /** Throws `state.transition-refused`. */
  transition(name: string, to: MoveState): Promise<MoveRecord>
}

/**
 * All that a worker keeps in the control database. Each call is one transaction: when it fails, nobody knows whether it
 * had its effect. The code that uses these knows no SQL, so that a simulation can hold them in its hands; the contract
 * that both keep is in `packages/simulation/src/control-contract.test.ts`.
 */
export interface ControlRecords {
  readonly moves: MoveStore
  readonly cutovers: Face<CutoverRecords>
  readonly operations: Face<OperationRecords>
  readonly journal: Face<Journal>
  readonly audit: Face<AuditLog>
  readonly approvals: Face<Approvals>
  readonly incidents: Face<Incidents>
  readonly rehearsals: Face<Rehearsals>
}
