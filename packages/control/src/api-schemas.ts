import { Type } from 'typebox'
import type { OperationVerb, WaveVerb } from './api-types.ts'

export const verbs: readonly OperationVerb[] = [
  'assess',
  'start',
  'compare',
  'cutover',
  'rollback',
  'finalize',
  'pause',
  'resume',
  'cancel',
  'throttle',
]

export const waveVerbs: readonly WaveVerb[] = ['cutover', 'rollback', 'finalize', 'rehearse']

export const MoveParams = Type.Object({ name: Type.String({ minLength: 1, maxLength: 40 }) })

export const VerbParams = Type.Object({
  name: Type.String({ minLength: 1, maxLength: 40 }),
  verb: Type.Union(verbs.map((verb) => Type.Literal(verb))),
})

export const WaveVerbParams = Type.Object({
  name: Type.String({ minLength: 1, maxLength: 40 }),
  verb: Type.Union(waveVerbs.map((verb) => Type.Literal(verb))),
})

export const OperationParams = Type.Object({ id: Type.String({ minLength: 1, maxLength: 60 }) })

/** Left out and not null: the framework would take a null for a number, which is 0. */
const LimitsBody = Type.Object(
  {
    bytesPerSecond: Type.Optional(Type.Integer({ minimum: 0 })),
    sourceSessions: Type.Optional(Type.Integer({ minimum: 0 })),
    replicaLagMs: Type.Optional(Type.Integer({ minimum: 0 })),
  },
  { additionalProperties: false, description: 'Of throttle; what is left out is not limited.' },
)

export const RequestBody = Type.Object(
  {
    dryRun: Type.Optional(Type.Boolean()),
    actor: Type.String({ minLength: 1, maxLength: 200 }),
    reason: Type.Optional(Type.String({ maxLength: 1_000 })),
    override: Type.Optional(Type.Boolean()),
    limits: Type.Optional(LimitsBody),
  },
  { additionalProperties: false },
)

export const ListQuery = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000, default: 200 })),
})

export const WaveParams = Type.Object({ name: Type.String({ minLength: 1, maxLength: 40 }) })

export const ApprovalBody = Type.Object(
  {
    actor: Type.String({ minLength: 1, maxLength: 200 }),
    reason: Type.Optional(Type.String({ maxLength: 1_000 })),
  },
  { additionalProperties: false },
)

export const IncidentBody = Type.Object(
  {
    actor: Type.String({ minLength: 1, maxLength: 200 }),
    severity: Type.Union([Type.Literal('minor'), Type.Literal('severe')]),
    title: Type.String({ minLength: 1, maxLength: 200 }),
  },
  { additionalProperties: false },
)

export const IncidentParams = Type.Object({ id: Type.Integer({ minimum: 1 }) })
