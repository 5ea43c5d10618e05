/** The part of the estate file that describes what is built on AWS, and why. */
import { type Static, Type } from 'typebox'

const closed = { additionalProperties: false } as const
const Name = Type.String({
  pattern: '^[a-z][a-z0-9-]{0,39}$',
  description: 'A name of lower-case letters, digits and hyphens, at most 40, that begins with a letter.',
})
const Cidr = Type.String({
  pattern: '^([0-9]{1,3}\\.){3}[0-9]{1,3}/[0-9]{1,2}$',
  description: 'An IPv4 range such as 10.20.0.0/16.',
})
const Address = Type.String({ pattern: '^([0-9]{1,3}\\.){3}[0-9]{1,3}$', description: 'An IPv4 address.' })
const Port = Type.Integer({ minimum: 1, maximum: 65_535 })
const Reason = Type.String({
  minLength: 10,
  description: 'Why this is needed, in a sentence that an auditor can read.',
})
const Owner = Type.String({
  minLength: 2,
  description: 'The team or person who answers for it: stands in the register of interfaces.',
})
const Authentication = Type.String({
  minLength: 3,
  description: 'How the two prove who they are: mutual TLS, tokens …',
})
/** In transit a number may be whole; a store must never say so. */
const CardDataSent = Type.Enum(['none', 'truncated', 'tokenised', 'field-encrypted', 'whole'], {
  description: 'What of card numbers passes here, for the data-flow diagram.',
})
const TimeOfDay = Type.String({
  pattern: '^([01][0-9]|2[0-3]):[0-5][0-9]$',
  description: 'A time of day such as 20:00.',
})
const Arn = Type.String({ pattern: '^arn:aws[a-z-]*:[a-z0-9-]+:', description: 'The ARN of an AWS resource.' })

/** What the estate's old machines showed, as percentiles: what a target is sized by. */
const Observed = Type.Object(
  {
    days: Type.Integer({ minimum: 0, maximum: 400, description: 'How many days of samples the figures rest on.' }),
    cpuCores: Type.Number({ minimum: 0.1, maximum: 448, description: 'Busy cores, 99.5th percentile.' }),
    memoryGiB: Type.Number({ minimum: 0.1, maximum: 24_576, description: 'Memory in use, 99.5th percentile.' }),
    storageGiB: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_536 })),
    iops: Type.Optional(Type.Integer({ minimum: 1, maximum: 256_000 })),
  },
  closed,
)

const Environment = Type.Object(
  {
    kind: Type.Enum(['production', 'non-production']),
    account: Type.String({ pattern: '^[0-9]{12}$', description: 'The twelve digits of an AWS account.' }),
    network: Cidr,
    zones: Type.Optional(
      Type.Integer({
        minimum: 2,
        maximum: 3,
        description: 'Availability zones; 3 in production, 2 elsewhere by default.',
      }),
    ),
    domain: Type.String({ minLength: 3, description: 'The DNS zone that services answer under.' }),
    monthlyBudgetUsd: Type.Integer({ minimum: 1, maximum: 10_000_000 }),
    data: Type.Optional(
      Type.Enum(['live', 'test'], {
        description: 'Whose data its stores hold. Outside production no live card numbers may: `check` refuses.',
      }),
    ),
    nat: Type.Optional(
      Type.Enum(['one', 'per-zone'], { description: 'Default: per-zone in production, one elsewhere.' }),
    ),
    offHours: Type.Optional(
      Type.Object(
        { stop: TimeOfDay, start: TimeOfDay, timeZone: Type.String({ minLength: 3 }) },
        { ...closed, description: 'When services and databases stand still; never in production.' },
      ),
    ),
  },
  closed,
)

const DirectConnect = Type.Object(
  {
    connection: Type.Enum(['dedicated', 'hosted']),
    bandwidth: Type.Enum(['50Mbps', '100Mbps', '200Mbps', '500Mbps', '1Gbps', '2Gbps', '5Gbps', '10Gbps', '100Gbps']),
    location: Type.String({ minLength: 2, description: 'The code of the Direct Connect location, such as EqSG2.' }),
    vlan: Type.Integer({ minimum: 1, maximum: 4_094 }),
    macsec: Type.Optional(
      Type.Boolean({ description: 'Encryption on the line; on dedicated connections of 10 Gbps and more.' }),
    ),
    reason: Reason,
  },
  closed,
)

const OnPremises = Type.Object(
  {
    networks: Type.Array(Cidr, { minItems: 1, uniqueItems: true }),
    owner: Type.Optional(Owner),
    asn: Type.Integer({ minimum: 1, maximum: 4_294_967_294, description: 'The AS number of the routers there.' }),
    vpn: Type.Object({ peers: Type.Array(Address, { minItems: 1, uniqueItems: true }), reason: Reason }, closed),
    directConnect: Type.Optional(DirectConnect),
    people: Type.Optional(
      Type.Object(
        { network: Cidr, samlProvider: Arn, owner: Type.Optional(Owner), reason: Reason },
        { ...closed, description: 'Client VPN for operators; the identity provider asks for the second factor.' },
      ),
    ),
  },
  closed,
)

const Egress = Type.Object(
  {
    host: Type.Optional(Type.String({ minLength: 3, description: 'Its name; *.bank.example for all below it.' })),
    addresses: Type.Optional(
      Type.Array(Cidr, {
        minItems: 1,
        maxItems: 20,
        uniqueItems: true,
        description: 'Where it answers, when that is fixed: rules hold the service to these.',
      }),
    ),
    port: Port,
    kind: Type.Optional(Type.Enum(['partner', 'vendor', 'bank'], { default: 'partner' })),
    owner: Type.Optional(Owner),
    authentication: Type.Optional(Authentication),
    encryption: Type.Optional(
      Type.String({ minLength: 3, description: 'Of the connection; TLS where the port is 443 and nothing is said.' }),
    ),
    cardData: Type.Optional(CardDataSent),
    reason: Reason,
  },
  { ...closed, description: 'A partner that a service calls: everything else is refused.' },
)

const Caller = Type.Object(
  {
    name: Name,
    kind: Type.Enum(['users', 'partner', 'vendor', 'bank']),
    owner: Type.Optional(Owner),
    authentication: Authentication,
    cardData: Type.Optional(CardDataSent),
    reason: Reason,
  },
  { ...closed, description: 'Who calls a public service: one interface each in the register.' },
)

const OldAddresses = Type.Array(Address, {
  minItems: 1,
  uniqueItems: true,
  description: 'Where its old machines answer: what old firewall rules and proxies are read by.',
})

/** A request that meets every condition that is given; of each, one value is enough. */
const Route = Type.Object(
  {
    hosts: Type.Optional(Type.Array(Type.String({ minLength: 3, maxLength: 128 }), { minItems: 1 })),
    paths: Type.Optional(
      Type.Array(Type.String({ pattern: '^[/*]', maxLength: 128 }), {
        minItems: 1,
        description: 'With * for any text and ? for one character; capitals count.',
      }),
    ),
    methods: Type.Optional(Type.Array(Type.String({ pattern: '^[A-Z_-]{1,40}$' }), { minItems: 1 })),
    sources: Type.Optional(Type.Array(Cidr, { minItems: 1, description: 'Where the request comes from.' })),
    to: Type.Optional(Type.String({ minLength: 1, description: 'The service that answers; it may be this one.' })),
    deny: Type.Optional(Type.Integer({ minimum: 400, maximum: 599, description: 'The status that refuses it.' })),
    redirect: Type.Optional(
      Type.Object(
        {
          host: Type.Optional(Type.String({ minLength: 3 })),
          path: Type.Optional(Type.String({ pattern: '^/' })),
          permanent: Type.Optional(Type.Boolean({ default: false })),
        },
        closed,
      ),
    ),
    reason: Reason,
  },
  {
    ...closed,
    description: 'A rule of the balancer. The first that fits decides; what fits none goes to the service.',
  },
)

const Filter = Type.Object(
  {
    requestsPerFiveMinutes: Type.Optional(
      Type.Integer({ minimum: 10, maximum: 2_000_000_000, description: 'From one address.' }),
    ),
    deny: Type.Optional(Type.Array(Cidr, { minItems: 1 })),
    only: Type.Optional(Type.Array(Cidr, { minItems: 1, description: 'Nobody else may call it.' })),
    reason: Reason,
  },
  {
    ...closed,
    description: 'What its web filter does beyond the rules that AWS keeps; public services over HTTP only.',
  },
)

const LandingService = Type.Object(
  {
    port: Port,
    protocol: Type.Optional(Type.Enum(['http', 'tcp'], { default: 'http' })),
    health: Type.Optional(Type.String({ pattern: '^/', description: 'The path that says whether it is ready.' })),
    host: Type.Optional(Type.String({ minLength: 3, description: 'The public name; without one it is internal.' })),
    from: Type.Array(Type.Enum(['internet', 'on-premises', 'services']), { minItems: 1, uniqueItems: true }),
    callers: Type.Optional(Type.Array(Caller)),
    owner: Type.Optional(Owner),
    cardData: Type.Optional(CardDataSent),
    instances: Type.Object(
      {
        type: Type.String({ pattern: '^[a-z0-9-]+\\.[a-z0-9]+$' }),
        least: Type.Integer({ minimum: 1, maximum: 500 }),
        most: Type.Optional(Type.Integer({ minimum: 1, maximum: 500 })),
        image: Type.Optional(
          Type.String({ pattern: '^ami-[0-9a-f]{8,17}$', description: 'The image that the rehost made.' }),
        ),
      },
      closed,
    ),
    stateful: Type.Optional(Type.Boolean({ description: 'Keeps state on its disk: is recovered, never scaled.' })),
    scaleAtCpu: Type.Optional(
      Type.Integer({ minimum: 10, maximum: 90, description: 'Per cent; stateless services only.' }),
    ),
    schedule: Type.Optional(
      Type.Array(
        Type.Object(
          {
            at: TimeOfDay,
            days: Type.Optional(
              Type.String({ pattern: '^(MON|TUE|WED|THU|FRI|SAT|SUN)(-(MON|TUE|WED|THU|FRI|SAT|SUN))?$' }),
            ),
            timeZone: Type.String({ minLength: 3 }),
            least: Type.Integer({ minimum: 1, maximum: 500 }),
          },
          closed,
        ),
        {
          maxItems: 10,
          description: 'How many machines there are at least from a time of day on; stateless services, production.',
        },
      ),
    ),
    stores: Type.Optional(Type.Array(Name, { uniqueItems: true })),
    calls: Type.Optional(Type.Array(Name, { uniqueItems: true, description: 'Services of the estate that it calls.' })),
    egress: Type.Optional(Type.Array(Egress)),
    routes: Type.Optional(Type.Array(Route, { maxItems: 90 })),
    filter: Type.Optional(Filter),
    balance: Type.Optional(Type.Enum(['round-robin', 'least-outstanding'], { default: 'round-robin' })),
    sticky: Type.Optional(Type.Boolean({ description: 'A cookie of the balancer keeps a client at its machine.' })),
    idleTimeoutSeconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 4_000, default: 60 })),
    oldAddresses: Type.Optional(OldAddresses),
    reason: Reason,
  },
  closed,
)

/** Source: FSx for Windows user guide, "Working with Microsoft Active Directory": a share cannot be made without one. */
const Directory = Type.Object(
  {
    domain: Type.String({ minLength: 3, description: 'Its full name, such as corp.example.com.' }),
    dns: Type.Array(Address, { minItems: 1, maxItems: 2, uniqueItems: true }),
    secret: Type.String({
      pattern: '^arn:aws[a-z-]*:secretsmanager:',
      description: 'The ARN of the secret of the account that may join machines to it.',
    }),
  },
  { ...closed, description: 'FSx: the Active Directory of the old site that the share joins.' },
)

const LandingStore = Type.Object(
  {
    engine: Type.Enum(['postgresql', 'mysql', 'mariadb', 'mongodb', 'redis', 'rabbitmq', 'elasticsearch', 'files']),
    becomes: Type.Enum([
      'rds',
      'documentdb',
      'elasticache',
      'amazon-mq-activemq',
      'amazon-mq-rabbitmq',
      'opensearch',
      's3',
      'efs',
      'fsx',
    ]),
    version: Type.Optional(Type.String({ minLength: 1, description: 'Version of the target; else the newest tried.' })),
    cardData: Type.Optional(
      Type.Enum(['none', 'truncated', 'tokenised', 'field-encrypted'], {
        description: 'What it holds of card numbers; `check` refuses a store that does not say.',
      }),
    ),
    observed: Observed,
    rollbackDays: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 35, default: 3, description: 'How long a move of it can still go back.' }),
    ),
    owner: Type.Optional(Owner),
    directory: Type.Optional(Directory),
    availability: Type.Optional(
      Type.Enum(['instance', 'cluster', 'standby'], {
        description: 'RDS: standby instance (default) or Multi-AZ cluster; OpenSearch: with standby.',
      }),
    ),
    oldAddresses: Type.Optional(OldAddresses),
    reason: Reason,
  },
  closed,
)

/** Things that cost money of their own and are left out unless somebody says what they are needed for. */
const Extras = Type.Object(
  {
    transitGateway: Type.Optional(Reason),
    firewall: Type.Optional(Reason),
    privateCertificateAuthority: Type.Optional(Reason),
  },
  { ...closed, description: 'Services beyond the necessary, each with the requirement that asks for it.' },
)

export const LandingZone = Type.Object(
  {
    region: Type.String({
      pattern: '^[a-z]{2}(-[a-z]+)+-[0-9]$',
      description: 'An AWS region such as ap-southeast-1.',
    }),
    s3PrefixList: Type.Optional(
      Type.String({
        pattern: '^pl-[0-9a-f]{8,17}$',
        description: 'The list of addresses of S3 in the region; needed where the region is not known here.',
      }),
    ),
    contact: Type.String({
      pattern: '^[^@ ]+@[^@ ]+$',
      description: 'The e-mail address that alarms and bills go to.',
    }),
    environments: Type.Record(Name, Environment, { ...closed, minProperties: 1 }),
    onPremises: Type.Optional(OnPremises),
    services: Type.Record(Name, LandingService, { ...closed, description: 'What runs on servers, by name.' }),
    stores: Type.Record(Name, LandingStore, { ...closed, description: 'What keeps data, by name.' }),
    extras: Type.Optional(Extras),
  },
  { ...closed, description: 'The AWS side: see docs/30-landing-zone.md.' },
)
export type LandingZone = Static<typeof LandingZone>
export type LandingEnvironment = Static<typeof Environment>
export type LandingRoute = Static<typeof Route>
export type LandingService = Static<typeof LandingService>
export type LandingEgress = Static<typeof Egress>
export type LandingStore = Static<typeof LandingStore>
export type OnPremises = Static<typeof OnPremises>
export type DirectConnect = Static<typeof DirectConnect>
