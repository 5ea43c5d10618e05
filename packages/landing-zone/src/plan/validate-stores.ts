/** Engines and features that do not go together, and what AWS has no service for. */
import { evidence, type Finding } from '@replatform/core/finding'
import type { LandingEnvironment, LandingStore } from '@replatform/core/landing-zone-estate'
import { type BlueprintOptions, zoneCount } from './blueprint.ts'
import { regionFacts } from './region-facts.ts'
import { firmAfterDays, sizeOf } from './sizing.ts'

type Store = readonly [string, LandingStore]
type About = Omit<Finding, 'evidence'>
type Rule = { readonly about: About; readonly concerns: (store: LandingStore, context: Context) => boolean }
interface Context {
  readonly region: string
  readonly zones: number
  readonly isProduction: boolean
}

export function storeFindings({ landingZone }: BlueprintOptions, settings: LandingEnvironment): Finding[] {
  const context: Context = {
    region: landingZone.region,
    zones: zoneCount(settings),
    isProduction: settings.kind === 'production',
  }
  const stores: readonly Store[] = Object.entries(landingZone.stores)
  return rules.flatMap(({ about, concerns }) => {
    const concerned = stores.filter(([, store]) => concerns(store, context))
    if (concerned.length === 0) return []
    return [
      {
        ...about,
        evidence: evidence(concerned.map(([name, { engine, becomes }]) => `${name}: ${engine} → ${becomes}`)),
      },
    ]
  })
}

/** What each engine can become. Source: the services' own pages on supported engines. */
const equivalents: Readonly<Record<LandingStore['engine'], readonly LandingStore['becomes'][]>> = {
  postgresql: ['rds'],
  mysql: ['rds'],
  mariadb: ['rds'],
  mongodb: ['documentdb'],
  redis: ['elasticache'],
  rabbitmq: ['amazon-mq-activemq', 'amazon-mq-rabbitmq'],
  elasticsearch: ['opensearch'],
  files: ['s3', 'efs', 'fsx'],
}

const unsized = ['s3', 'efs', 'fsx'] as const
const isUnsized = (becomes: LandingStore['becomes']) => (unsized as readonly string[]).includes(becomes)

const rules: readonly Rule[] = [
  {
    concerns: ({ engine, becomes }) => !equivalents[engine].includes(becomes),
    about: {
      id: 'landing-zone.no-equivalent',
      severity: 'blocker',
      title: 'The engine cannot become that service.',
      remedy: 'Choose the service that runs its engine; where there is none, keep it as a service on EC2.',
    },
  },
  {
    concerns: ({ becomes }, { region }) => regionFacts[region]?.lacks.includes(becomes) ?? false,
    about: {
      id: 'landing-zone.service-not-in-region',
      severity: 'blocker',
      title: 'The region does not offer the service.',
      remedy: 'Choose another region, or keep the store on EC2.',
    },
  },
  {
    // Amazon RDS user guide, "Multi-AZ DB cluster deployments": MySQL and PostgreSQL only.
    concerns: ({ engine, becomes, availability }) =>
      becomes === 'rds' && availability === 'cluster' && engine === 'mariadb',
    about: {
      id: 'landing-zone.cluster-without-engine',
      severity: 'blocker',
      title: 'A Multi-AZ cluster does not exist for MariaDB.',
      remedy: 'Use availability: instance, with a standby in another zone.',
    },
  },
  {
    // OpenSearch Service developer guide, "Multi-AZ with Standby": three zones, data nodes in threes.
    concerns: ({ becomes, availability }, { zones }) =>
      becomes === 'opensearch' && availability === 'standby' && zones < 3,
    about: {
      id: 'landing-zone.standby-needs-three-zones',
      severity: 'blocker',
      title: 'Multi-AZ with standby needs three zones, data nodes in threes and three dedicated masters.',
      remedy: 'Use three zones, or leave out availability: standby.',
    },
  },
  {
    concerns: ({ becomes, availability }) =>
      (availability === 'standby' && becomes !== 'opensearch') || (availability === 'cluster' && becomes !== 'rds'),
    about: {
      id: 'landing-zone.availability-unknown',
      severity: 'blocker',
      title: 'The service does not have that form of availability.',
      remedy: 'Leave out availability: every service gets the form over several zones that it has.',
    },
  },
  {
    // Amazon MQ developer guide, "RabbitMQ 4": mq.m7g only; mq.m7g.medium is for tests.
    concerns: ({ becomes, version, observed }, { isProduction }) =>
      becomes === 'amazon-mq-rabbitmq' && isProduction && Number(version ?? '4') >= 4 && observed.memoryGiB < 0.5,
    about: {
      id: 'landing-zone.rabbitmq-small',
      severity: 'note',
      title: 'RabbitMQ 4 needs mq.m7g.large or more in production, whatever it was seen to use.',
      remedy: 'Nothing: the size is raised to mq.m7g.large.',
    },
  },
  {
    concerns: (store, { isProduction }) =>
      isProduction && !isUnsized(store.becomes) && sizeOf(store.becomes as never, store, false).isTooLarge,
    about: {
      id: 'landing-zone.larger-than-any-class',
      severity: 'blocker',
      title: 'What was observed is more than the largest class holds with 20 % to spare.',
      remedy: 'Divide the store, or check the observation.',
    },
  },
  {
    concerns: ({ observed }, { isProduction }) => isProduction && observed.days < firmAfterDays,
    about: {
      id: 'landing-zone.sizing-not-firm',
      severity: 'risk',
      title: `A size rests on fewer than ${firmAfterDays} days of samples.`,
      remedy: 'Observe longer before the money is spent; the size is a first guess until then.',
    },
  },
  {
    concerns: ({ cardData }) => cardData === undefined,
    about: {
      id: 'landing-zone.card-data-undeclared',
      severity: 'risk',
      title: 'A store does not say what it holds of card numbers: `infra check` refuses it.',
      remedy:
        'Declare cardData: none, truncated, tokenised or field-encrypted. Encryption of the disk alone is no answer (PCI-DSS 4.0.1, 3.5.1.2).',
    },
  },
  {
    concerns: ({ becomes }) =>
      ['elasticache', 'opensearch', 'amazon-mq-activemq', 'amazon-mq-rabbitmq'].includes(becomes),
    about: {
      id: 'landing-zone.secret-not-rotated',
      severity: 'note',
      title: 'The service does not rotate its password by itself.',
      remedy:
        'ElastiCache: change the users of the user group by turns. ActiveMQ: a new password waits for a reboot of the broker. RabbitMQ and OpenSearch: by their own management interface. Put them in the calendar (PCI-DSS 4.0.1, 8.6.3).',
    },
  },
  {
    // AWS Backup developer guide, "Feature availability by resource".
    concerns: ({ becomes }) =>
      ['elasticache', 'opensearch', 'amazon-mq-activemq', 'amazon-mq-rabbitmq'].includes(becomes),
    about: {
      id: 'landing-zone.no-locked-backup',
      severity: 'note',
      title: 'AWS Backup and its locked vault do not cover the service.',
      remedy:
        'Snapshots of its own are taken where it has them; a broker has none: what stands in its queues is lost with it.',
    },
  },
  {
    concerns: ({ becomes, directory }) => becomes === 'fsx' && directory === undefined,
    about: {
      id: 'landing-zone.share-without-directory',
      severity: 'blocker',
      title: 'A share for Windows cannot be made without an Active Directory to join.',
      remedy: 'Describe it as `directory`: domain, addresses of its DNS, and the secret of the account that joins.',
    },
  },
  {
    // FSx for Windows user guide, "Using Amazon FSx with your self-managed Microsoft Active Directory".
    concerns: ({ becomes, directory }) => becomes === 'fsx' && directory !== undefined,
    about: {
      id: 'landing-zone.directory-way-not-open',
      severity: 'risk',
      title:
        'A share must reach the controllers of its directory, and no way to them is built: data subnets have none.',
      remedy:
        'Before the first deployment open 53, 88, 123, 135, 389, 445, 464, 636, 3268, 3269, 9389 and 49152-65535 to them, in the ejected project, or put a controller into the network.',
    },
  },
  {
    concerns: ({ becomes }) =>
      ['elasticache', 'opensearch', 'amazon-mq-activemq', 'amazon-mq-rabbitmq', 's3', 'efs', 'fsx'].includes(becomes),
    about: {
      id: 'landing-zone.no-deletion-protection',
      severity: 'note',
      title: 'The service has no deletion protection of its own.',
      remedy:
        'Its stack cannot be deleted in passing and leaves it, or a snapshot of it, behind; who may delete it by hand is up to your policies.',
    },
  },
  {
    // RDS user guide, "Multi-AZ DB cluster deployments": no option groups, so no audit plugin.
    concerns: ({ engine, availability }) => engine === 'mysql' && availability === 'cluster',
    about: {
      id: 'landing-zone.cluster-without-audit',
      severity: 'note',
      title: 'MySQL has no audit log in a Multi-AZ cluster: its error log names only who was refused.',
      remedy: 'Use availability: instance where what was done must be logged (PCI-DSS 4.0.1, 10.2.1).',
    },
  },
  {
    concerns: ({ becomes }) => ['amazon-mq-activemq', 'amazon-mq-rabbitmq', 'efs', 'fsx'].includes(becomes),
    about: {
      id: 'landing-zone.logins-unwatched',
      severity: 'note',
      title:
        'Refused logins raise no alarm: the log that would name them has no name before the service exists, or is none.',
      remedy:
        'Brokers: run what `infra prove` writes for them after the first deployment. Shares: read the log of the directory.',
    },
  },
]
