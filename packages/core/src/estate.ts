import { type Static, Type } from 'typebox'
import { LandingZone } from './landing-zone-estate.ts'

const closed = { additionalProperties: false } as const
export const secretPattern = '^(env:[A-Za-z_][A-Za-z0-9_]*|file:/.+)$'
const SecretReference = Type.String({
  pattern: secretPattern,
  description: 'Where the secret stands, never the secret itself: env:NAME or file:/path.',
})
const Name = Type.String({
  pattern: '^[a-z][a-z0-9-]{0,39}$',
  description: 'A name of lower-case letters, digits and hyphens, at most 40, that begins with a letter.',
})
const Duration = Type.String({
  pattern: '^[0-9]{1,6}(ms|s|m|h)$',
  description: 'A number with its unit: 500ms, 2s, 1m, 24h.',
})
const Instant = Type.String({
  pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}(:\\d{2})?(Z|[+-]\\d{2}:\\d{2})$',
  description: 'A time with its offset: 2026-08-01T01:00+07:00.',
})

/**
 * Kinds that have a route today. Addresses of brokers: `amqps://user:password@host:port/vhost`, with `?management=` for
 * the management API of RabbitMQ where it is not on its usual port.
 */
export const StoreKind = Type.Enum(['postgresql', 'redis', 'rabbitmq', 'activemq'], {
  description: 'The kind of store.',
})
export type StoreKind = Static<typeof StoreKind>

const StoreSide = Type.Object(
  {
    kind: StoreKind,
    url: SecretReference,
    service: Type.Optional(Type.String({ description: 'The managed service behind the address, such as rds.' })),
    replica: Type.Optional(
      Type.String({
        pattern: secretPattern,
        description: 'A standby of this side that comparisons read instead, as a secret reference.',
      }),
    ),
  },
  closed,
)

const PgBouncerSwitch = Type.Object(
  {
    admin: SecretReference,
    database: Type.String({ minLength: 1, description: 'The name that clients connect to.' }),
    config: Type.String({ minLength: 1, description: 'The file that holds the line of this database.' }),
  },
  closed,
)

export type PgbouncerSwitch = Static<typeof PgBouncerSwitch>

const ServerNames = (side: string) =>
  Type.Array(Type.String({ minLength: 1 }), {
    minItems: 1,
    uniqueItems: true,
    description: `Servers of the ${side} side.`,
  })

const HaproxySwitch = Type.Object(
  {
    socket: Type.String({
      pattern: '^(/.+|.+:[0-9]{1,5})$',
      description: 'The runtime API at level admin: the path of its socket, or host:port.',
    }),
    backend: Type.String({ minLength: 1, description: 'The backend that has the servers of both sides.' }),
    old: ServerNames('old'),
    new: ServerNames('new'),
    wait: Type.Optional(
      Type.String({ minLength: 1, default: 'wait', description: 'A server of the backend at which nothing listens.' }),
    ),
    stateFile: Type.Optional(
      Type.String({ pattern: '^/.+', description: 'The server-state-file, where HAProxy is on this machine.' }),
    ),
    config: Type.Optional(
      Type.String({
        pattern: '^/.+',
        description: 'Its configuration, where it is on this machine: the copy of a rehearsal takes its settings over.',
      }),
    ),
  },
  closed,
)
export type HaproxySwitch = Static<typeof HaproxySwitch>

const Switch = Type.Object({ pgbouncer: Type.Optional(PgBouncerSwitch), haproxy: Type.Optional(HaproxySwitch) }, closed)

const SchemaChanges = Type.Enum(['carry', 'stop', 'ignore'], {
  default: 'stop',
  description:
    'Changes of the schema while a relational store moves: carried over in their place, or the move stops, or goes on without and reports them.',
})
export type SchemaChanges = Static<typeof SchemaChanges>

const TablePatterns = (what: string) =>
  Type.Optional(
    Type.Array(
      Type.String({
        pattern: '^[^.]+\\..+$',
        description: 'A pattern of the form schema.table, in which * stands for any characters.',
      }),
      { minItems: 1, uniqueItems: true, description: what },
    ),
  )

const TableFilter = Type.Object(
  {
    include: TablePatterns('What moves; everything where this is left out.'),
    exclude: TablePatterns('What stays, of that.'),
  },
  {
    ...closed,
    minProperties: 1,
    description:
      'Which tables of a relational store move; a partitioned table stands for its partitions, a table for its sequences. A pattern that fits nothing is an error.',
  },
)
export type TableFilter = Static<typeof TableFilter>

const Store = Type.Object(
  {
    source: StoreSide,
    target: StoreSide,
    switch: Type.Optional(Switch),
    rehearsal: Type.Optional(
      Type.Object(
        { switch: Switch },
        {
          ...closed,
          description:
            'A copy of the switchover point, without clients, that a rehearsal uses instead of one of its own.',
        },
      ),
    ),
    topology: Type.Optional(
      Type.String({
        minLength: 1,
        description: "The file with the plan of a broker's topology, from the estate file on.",
      }),
    ),
    schemaChanges: Type.Optional(SchemaChanges),
    tables: Type.Optional(TableFilter),
    spool: Type.Optional(
      Type.Object(
        {
          folder: Type.String({
            minLength: 1,
            description: 'On the machine of the worker, from the estate file on; made where it does not exist.',
          }),
        },
        {
          ...closed,
          description:
            'Changes of a PostgreSQL source are kept there, encrypted, while a full load goes on, so that the source need not keep its log that long.',
        },
      ),
    ),
    limits: Type.Optional(
      Type.Object(
        {
          bytesPerSecond: Type.Optional(
            Type.Integer({ minimum: 0, description: 'That load and follow together may write.' }),
          ),
          sourceSessions: Type.Optional(
            Type.Integer({ minimum: 0, description: 'Sessions at work on the source past which the full load waits.' }),
          ),
          replicaLag: Type.Optional(Duration),
        },
        { ...closed, minProperties: 1, description: 'How much the move may ask; `replatform throttle` changes it.' },
      ),
    ),
    workers: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 32, default: 4, description: 'Chunks and indexes in work at once.' }),
    ),
  },
  closed,
)

/** What must hold before the wave may cut over; each is asked anew when it begins. */
const Gates = Type.Object(
  {
    verifiedWithin: Type.Optional(Duration),
    lagUnder: Type.Optional(Duration),
    rehearsedWithin: Type.Optional(Duration),
    noOpenIncident: Type.Optional(
      Type.Enum(['severe', 'any'], { description: 'Which incidents (`replatform incident`) must be closed.' }),
    ),
  },
  closed,
)

const Wave = Type.Object(
  {
    name: Name,
    phase: Type.Enum(['rehost', 'replatform']),
    moves: Type.Array(Name, { minItems: 1, uniqueItems: true }),
    pauseBudget: Type.Optional(Duration),
    rollbackBudget: Type.Optional(Duration),
    approver: Type.Optional(
      Type.String({ minLength: 1, description: 'Who must approve each cutover: a user, or user@host.' }),
    ),
    window: Type.Optional(
      Type.Object({ from: Instant, to: Instant }, { ...closed, description: 'When the cutover may begin.' }),
    ),
    gates: Type.Optional(Gates),
    gateways: Type.Optional(
      Type.Array(Type.Object({ haproxy: HaproxySwitch, rehearsal: Type.Optional(HaproxySwitch) }, closed), {
        minItems: 1,
        description: 'Switchover points in front of the wave as a whole: held before those of its stores.',
      }),
    ),
  },
  closed,
)

const Service = Type.Object(
  { stores: Type.Array(Name, { minItems: 1, uniqueItems: true, description: 'The stores that it connects to.' }) },
  { ...closed, description: 'A service that moves with what it connects to.' },
)

export const AccessRole = Type.Enum(['viewer', 'operator', 'approver'], {
  description: 'viewer looks; operator also asks moves and waves to do something; approver also approves waves.',
})
export type AccessRole = Static<typeof AccessRole>

const Access = Type.Array(
  Type.Object(
    {
      name: Name,
      roles: Type.Array(AccessRole, { minItems: 1, uniqueItems: true }),
      token: SecretReference,
    },
    closed,
  ),
  { description: 'Who may use the control API beyond the local socket, see `replatform serve`.' },
)
export type AccessEntry = Static<typeof Access>[number]

export const NotifyEvent = Type.Enum(['state', 'cutover', 'gate', 'incident'], {
  description:
    'state: a move changed its state or is paused. cutover: one began or ended. gate: one is closed, overridden or approved.',
})
export type NotifyEvent = Static<typeof NotifyEvent>

const Notify = Type.Array(
  Type.Object(
    {
      kind: Type.Enum(['webhook', 'slack', 'email'], { description: 'How it is told.' }),
      url: Type.String({
        pattern: secretPattern,
        description: 'Where to, as a secret reference: the address of the webhook, or smtp://user:password@host:port.',
      }),
      secret: Type.Optional(
        Type.String({ pattern: secretPattern, description: 'For a webhook: what its requests are signed with.' }),
      ),
      to: Type.Optional(
        Type.Array(Type.String({ minLength: 3, maxLength: 200 }), { minItems: 1, description: 'For e-mail: to whom.' }),
      ),
      from: Type.Optional(Type.String({ minLength: 3, maxLength: 200, description: 'For e-mail: from whom.' })),
      events: Type.Optional(
        Type.Array(NotifyEvent, { minItems: 1, uniqueItems: true, description: 'All of them where this is left out.' }),
      ),
    },
    closed,
  ),
  { description: 'Who is told of changes of state and of gates.' },
)
export type NotifyEntry = Static<typeof Notify>[number]

export const Estate = Type.Object(
  {
    estate: Name,
    tools: Type.Optional(
      Type.Record(Type.String(), Type.String(), {
        description: 'Programs by name, where PATH does not find the right one.',
      }),
    ),
    stores: Type.Record(Name, Store, {
      ...closed,
      minProperties: 1,
      description: 'What is moved, by name; a store and its move have the same name.',
    }),
    services: Type.Optional(
      Type.Record(Name, Service, {
        ...closed,
        description: 'What connects to which stores; `replatform plan` groups by it.',
      }),
    ),
    waves: Type.Optional(Type.Array(Wave, { description: 'Moves that cut over together.' })),
    landingZone: Type.Optional(LandingZone),
    access: Type.Optional(Access),
    notify: Type.Optional(Notify),
  },
  { ...closed, $id: 'estate.schema.json', title: 'Replatform estate' },
)
export type Estate = Static<typeof Estate>
export type EstateStore = Static<typeof Store>
export type EstateWave = Static<typeof Wave>

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }

/** `500ms`, `2s`, `1m`, `24h` in milliseconds. The schema has checked the form. */
export function durationMs(text: string): number {
  const [, amount, unit = 'ms'] = /^([0-9]+)(ms|s|m|h)$/.exec(text) ?? []
  return Number(amount) * (unitMs[unit] ?? Number.NaN)
}
