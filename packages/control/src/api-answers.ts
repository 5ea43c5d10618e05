/**
 * What the control API answers, as JSON Schema: the OpenAPI document's half of `api-types.ts`. The compiler holds every
 * type to its schema (see the end), a test holds the answers of a live API to the document.
 */
import { catalogue, type ErrorCode } from '@replatform/core/error-catalogue'
import type { SerializedError } from '@replatform/core/errors'
import { type Static, type TProperties, type TSchema, Type } from 'typebox'
import { verbs, waveVerbs } from './api-schemas.ts'
import type * as Types from './api-types.ts'
import type { Approval as ApprovalType } from './approvals.ts'
import type { Incident as IncidentType } from './incidents.ts'
import type { JournalEntry as JournalEntryType } from './journal.ts'

const object = <P extends TProperties>(properties: P, description?: string) =>
  Type.Object(properties, { additionalProperties: false, ...(description === undefined ? {} : { description }) })
const orNull = <S extends TSchema>(schema: S) => Type.Union([schema, Type.Null()])
const oneOf = <const V extends string[]>(...values: V) => Type.Enum(values)
const text = Type.String()
const time = Type.String({ format: 'date-time' })
const count = Type.Integer({ minimum: 0 })
const ms = Type.Number({ minimum: 0, description: 'Milliseconds.' })
const number = Type.Number()

const moveState = oneOf(
  'planned',
  'prepared',
  'loading',
  'catching-up',
  'in-sync',
  'cutting-over',
  'reversing',
  'rolling-back',
  'rolled-back',
  'finalized',
  'cancelled',
)
const direction = oneOf('forward', 'reverse')
const verb = Type.Enum([...new Set([...verbs, ...waveVerbs])])
const operationState = oneOf('running', 'done', 'failed')

const ErrorDetails = object({
  code: Type.Enum(Object.keys(catalogue) as ErrorCode[], { description: 'Each stands in docs/errors.md.' }),
  retry: Type.Enum(['retry', 'operator', 'terminal'], { description: 'Who can do something about it.' }),
  message: Type.String({ description: 'What happened.' }),
  untouched: Type.String({ description: 'What was left as it was.' }),
  next: Type.String({ description: 'What to do next.' }),
  position: Type.Optional(Type.String({ description: 'In the log of the source, where it is known.' })),
})
const ErrorAnswer = object({ error: ErrorDetails }, 'Any answer from 400 on.')

const Finding = object({
  id: text,
  severity: oneOf('blocker', 'risk', 'note'),
  title: text,
  evidence: Type.Array(text),
  remedy: text,
})

const Difference = object({
  kind: oneOf('mismatched', 'missing', 'extra'),
  key: Type.String({ description: 'Masked where it could be personal.' }),
  columns: Type.Optional(Type.Array(text)),
})

const compareReport = {
  scope: oneOf('all', 'changed'),
  at: Type.String({ description: 'The position of the source that both sides were read at.' }),
  equal: Type.Boolean(),
  seconds: number,
  pauseSeconds: Type.Optional(number),
  results: Type.Array(
    object({
      name: text,
      processed: count,
      matching: count,
      mismatched: count,
      missing: count,
      extra: count,
      repaired: Type.Optional(count),
      resumed: Type.Optional(count),
      mayRepeat: Type.Optional(count),
      samples: Type.Array(Difference, { maxItems: 10 }),
    }),
  ),
}
const CompareReport = object(compareReport)

const StepStatus = object({
  name: text,
  description: text,
  state: oneOf('planned', 'running', 'done', 'failed', 'skipped'),
  startedAt: orNull(time),
  ms: orNull(ms),
})

const CutoverStatus = object({
  id: text,
  direction,
  outcome: oneOf('committed', 'aborted', 'undecided'),
  pauseMs: orNull(ms),
  budgetMs: ms,
  predictedMs: orNull(ms),
  steps: Type.Array(StepStatus),
})

const GateStatus = object({
  name: oneOf('verified', 'rehearsed', 'incidents', 'lag', 'window', 'approval'),
  state: oneOf('holds', 'closed', 'unknown'),
  detail: text,
})

const PausePrediction = object({
  ms,
  parts: Type.Array(object({ step: text, ms, by: Type.String({ description: 'What the figure stands on.' }) })),
})

const rehearsalReport = {
  passed: Type.Boolean(),
  problems: Type.Array(text),
  steps: Type.Array(object({ step: text, ms: orNull(ms), note: text })),
  routings: Type.Array(
    object({
      name: text,
      isTried: Type.Boolean(),
      detail: text,
      felt: orNull(object({ answers: count, errors: count, gapMs: ms })),
    }),
  ),
  prediction: PausePrediction,
  findings: Type.Array(Finding),
}
const RehearsalReport = object(rehearsalReport)

const share = object({ chunks: count, rows: number, bytes: number })
const LoadStatus = object({
  groups: Type.Array(object({ name: text, rows: number, bytes: number, chunks: count, done: share, loaded: share })),
  rowsPerSecond: number,
  bytesPerSecond: number,
  etaSeconds: orNull(number),
})

const FollowStatus = object({
  position: text,
  lagMs: number,
  lagBytes: number,
  transactions: count,
  rows: count,
  bytes: count,
  rowsPerSecond: number,
  bytesPerSecond: number,
  etaSeconds: orNull(number),
})

const MoveStatus = object({
  name: text,
  wave: orNull(text),
  route: text,
  state: moveState,
  direction: orNull(direction),
  paused: orNull(object({ reason: text, error: orNull(ErrorDetails) })),
  step: orNull(text),
  limits: object({ bytesPerSecond: orNull(count), sourceSessions: orNull(count), replicaLagMs: orNull(count) }),
  heldBy: orNull(text),
  load: orNull(LoadStatus),
  follow: orNull(FollowStatus),
  lastCompare: orNull(object({ ...compareReport, finishedAt: time })),
  lastCutover: orNull(CutoverStatus),
  mover: orNull(object({ pid: count, rssBytes: count, restarts: count })),
  next: orNull(text),
})

const WaveStatus = object({
  name: text,
  phase: oneOf('rehost', 'replatform'),
  moves: Type.Array(text),
  pauseBudgetMs: ms,
  approver: orNull(text),
  window: orNull(object({ from: text, to: text })),
  gates: Type.Array(GateStatus),
  prediction: orNull(PausePrediction),
  lastRehearsal: orNull(object({ ...rehearsalReport, at: time })),
  lastCutover: orNull(CutoverStatus),
  next: orNull(text),
})

const EstateStatus = object({
  estate: text,
  worker: object({ pid: count, version: text, startedAt: time, control: oneOf('pglite', 'postgresql') }),
  moves: Type.Array(MoveStatus),
  waves: Type.Array(WaveStatus),
})

const OperationResult = Type.Union([
  object({ kind: Type.Literal('findings'), findings: Type.Array(Finding) }),
  object({ kind: Type.Literal('compare'), report: CompareReport }),
  object({ kind: Type.Literal('cutover'), cutover: CutoverStatus }),
  object({ kind: Type.Literal('rehearsal'), report: RehearsalReport }),
  object(
    { kind: Type.Literal('preview'), gates: Type.Array(GateStatus), prediction: orNull(PausePrediction) },
    'Of a dry run of a cutover.',
  ),
  object({ kind: Type.Literal('none') }),
])

const Operation = object({
  id: text,
  verb,
  move: orNull(text),
  wave: orNull(text),
  state: operationState,
  startedAt: time,
  finishedAt: orNull(time),
  steps: Type.Array(StepStatus),
  result: orNull(OperationResult),
  error: orNull(ErrorDetails),
})

const PastOperation = object({
  id: text,
  verb,
  move: orNull(text),
  wave: orNull(text),
  state: operationState,
  actor: text,
  reason: orNull(text),
  startedAt: time,
  finishedAt: orNull(time),
  error: orNull(text),
})

const JournalEntry = object({
  id: count,
  move: text,
  operation: orNull(text),
  step: text,
  description: text,
  state: oneOf('running', 'done', 'failed'),
  startedAt: time,
  ms: orNull(ms),
  errorCode: orNull(Type.Enum(Object.keys(catalogue) as ErrorCode[])),
})

const Approval = object({ wave: text, actor: text, reason: orNull(text), at: time })

const Incident = object({ id: count, severity: oneOf('minor', 'severe'), title: text, openedBy: text, openedAt: time })

const AuditEntry = object({
  id: count,
  at: time,
  actor: text,
  origin: text,
  verb: text,
  move: orNull(text),
  outcome: oneOf('asked', 'done', 'failed', 'refused'),
  detail: text,
})

const chainEnd = orNull(object({ number: count, hash: text }))
const AuditVerification = object({
  intact: Type.Boolean(),
  entries: count,
  unchained: count,
  head: chainEnd,
  anchor: chainEnd,
  problems: Type.Array(object({ kind: oneOf('changed', 'missing', 'reordered'), number: count, detail: text })),
})

/** Each stands once in the document, under its name. */
export const answers = {
  Approval,
  AuditEntries: Type.Array(AuditEntry),
  AuditVerification,
  Document: Type.Object({ openapi: text, paths: Type.Object({}) }, { description: 'An OpenAPI document.' }),
  Error: ErrorAnswer,
  EstateStatus,
  Incident,
  Incidents: Type.Array(Incident),
  Journal: Type.Array(JournalEntry),
  Metrics: Type.String({ description: 'In the text format of Prometheus.' }),
  Nothing: object({}),
  Operation,
  PastOperations: Type.Array(PastOperation),
} as const
export type AnswerName = keyof typeof answers

/**
 * Every answer that the types allow is one that the document allows: this does not compile where one is not, nor where a
 * type has a key, however deep, of which the document knows nothing.
 */
type DeepReadonly<T> = T extends string | number | boolean | null | undefined
  ? T
  : { readonly [K in keyof T]: DeepReadonly<T[K]> }
type Untold<T, S> = T extends string | number | boolean | null | undefined
  ? never
  : T extends readonly (infer Item)[]
    ? Untold<Item, ItemOf<S>>
    : { [K in keyof T & string]-?: K extends KeyOf<S> ? Untold<T[K], At<S, K>> : K }[keyof T & string]
type ItemOf<S> = S extends readonly (infer Item)[] ? Item : never
type KeyOf<S> = S extends object ? keyof S : never
type At<S, K> = S extends object ? (K extends keyof S ? S[K] : never) : never
type Fits<T extends DeepReadonly<Static<S>>, S extends TSchema> = [Untold<T, Static<S>>] extends [never]
  ? [T, S]
  : { readonly untold: Untold<T, Static<S>> }
type Holds<All extends readonly (readonly [unknown, TSchema])[]> = All
export type Held = Holds<
  [
    Fits<ApprovalType, typeof Approval>,
    Fits<IncidentType, typeof Incident>,
    Fits<JournalEntryType, typeof JournalEntry>,
    Fits<SerializedError, typeof ErrorDetails>,
    Fits<Types.AuditEntry, typeof AuditEntry>,
    Fits<Types.AuditVerification, typeof AuditVerification>,
    Fits<Types.EstateStatus, typeof EstateStatus>,
    Fits<Types.Operation, typeof Operation>,
    Fits<Types.PastOperation, typeof PastOperation>,
  ]
>
