import type {
  AuditEntry,
  AuditVerification,
  EstateStatus,
  Operation,
  OperationRequest,
  OperationVerb,
  PastOperation,
  WaveVerb,
} from './api-types.ts'
import type { Approval } from './approvals.ts'
import type { Incident } from './incidents.ts'
import type { JournalEntry } from './journal.ts'
import type { ApprovalRequest, IncidentRequest } from './wave-desk.ts'

/** What the API serves; each function throws a `ReplatformError` where it refuses. */
export interface ApiBackend {
  status(): Promise<EstateStatus>
  ask(verb: OperationVerb, move: string, request: OperationRequest): Promise<Operation>
  askWave(verb: WaveVerb, wave: string, request: OperationRequest): Promise<Operation>
  look(operation: string): Promise<Operation>
  history(wave: string): Promise<PastOperation[]>
  approve(wave: string, request: ApprovalRequest): Promise<Approval>
  openIncident(request: IncidentRequest): Promise<Incident>
  closeIncident(id: number, request: ApprovalRequest): Promise<Incident>
  /** Those that are open. */
  listIncidents(): Promise<Incident[]>
  audit(limit: number): Promise<AuditEntry[]>
  verifyAudit(): Promise<AuditVerification>
  journal(move: string, limit: number): Promise<JournalEntry[]>
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>
  /** Begins to stop and returns at once. */
  stop(): void
}
