import type { Properties, TemplateGraph } from '../template/template-graph.ts'
import { aboutEach, all, at, expecting, missing, type Rule } from './rule.ts'

/** Data at rest and in the stores' own protocols (PCI-DSS 4.0.1, 3 and 4). */
export const dataRules: readonly Rule[] = [
  {
    id: 'card-data-declared',
    pci: ['3.5.1', '3.5.1.2', '12.5.2'],
    wants: 'Every store says what it holds of card numbers. Encryption of its disk is no answer to that.',
    violations: (_, { stores }) =>
      stores
        .filter(({ cardData }) => cardData === undefined)
        .map(({ name }) => ({ at: name, what: 'does not say it' })),
  },
  {
    id: 'no-live-cards-outside-production',
    pci: ['6.5.5'],
    wants: 'Outside production no store holds live card numbers, be they encrypted.',
    violations: (_, { stores, isProduction, settings }) =>
      stores
        .filter(({ cardData = 'field-encrypted' }) => cardData === 'field-encrypted')
        .filter(() => !isProduction && settings.data !== 'test')
        .map(({ name }) => ({
          at: name,
          what: `may hold live card numbers: the environment has ${settings.data ?? 'not said what'} data`,
        })),
  },
  aboutEach({
    id: 'key-rotates',
    pci: ['3.6.1', '3.7.4'],
    wants: 'Keys rotate by themselves and cannot be deleted in a hurry.',
    types: ['AWS::KMS::Key'],
    atLeastOne: true,
    wrong: all(expecting({ EnableKeyRotation: true, PendingWindowInDays: 30 }), ({ RotationPeriodInDays }) =>
      Number(RotationPeriodInDays ?? 365) > 365 ? 'rotates less than once a year' : undefined,
    ),
  }),
  {
    id: 'key-kept',
    pci: ['3.6.1.1'],
    wants: 'A key outlives the stack that made it.',
    violations: (graph) => kept(graph.ofType('AWS::KMS::Key'), ['Retain']),
  },
  aboutEach({
    id: 'rds-encrypted',
    pci: ['3.5.1', '3.6.1', '8.6.2', '8.6.3'],
    wants:
      'Relational stores are encrypted under the company’s key and their master password is made and rotated by RDS.',
    types: ['AWS::RDS::DBInstance', 'AWS::RDS::DBCluster'],
    atLeastOne: true,
    wrong: all(
      expecting({
        StorageEncrypted: true,
        ManageMasterUserPassword: true,
        DeletionProtection: true,
        CopyTagsToSnapshot: true,
        AutoMinorVersionUpgrade: true,
      }),
      missing('KmsKeyId', 'MasterUserSecret.KmsKeyId', 'EnableCloudwatchLogsExports'),
      ({ PubliclyAccessible }) => (PubliclyAccessible === true ? 'is public' : undefined),
      ({ BackupRetentionPeriod }) =>
        Number(BackupRetentionPeriod) >= 7 ? undefined : 'keeps backups for less than a week',
    ),
  }),
  aboutEach({
    id: 'rds-own-port',
    pci: ['2.2.2'],
    wants: 'Relational stores do not listen on the port that scans try first.',
    types: ['AWS::RDS::DBInstance', 'AWS::RDS::DBCluster'],
    wrong: ({ Port }) => (['5432', '3306'].includes(String(Port)) ? `listens on ${Port}` : undefined),
  }),
  aboutEach({
    id: 'rds-parameters',
    pci: ['4.2.1', '10.2.1'],
    wants:
      'Relational stores refuse clear text; they log who connects, and keep the change log that a move back needs.',
    types: ['AWS::RDS::DBParameterGroup', 'AWS::RDS::DBClusterParameterGroup'],
    atLeastOne: true,
    wrong: ({ Family, Parameters, Description }) => {
      const parameters = (Parameters ?? {}) as Properties
      const isControl = String(Description).startsWith('Control')
      const wanted: Record<string, string> = String(Family).startsWith('postgres')
        ? {
            'rds.force_ssl': '1',
            'log_connections': '1',
            'log_disconnections': '1',
            ...(isControl ? {} : { 'rds.logical_replication': '1', 'log_statement': 'ddl' }),
          }
        : {
            require_secure_transport: '1',
            binlog_format: 'ROW',
            binlog_row_image: 'FULL',
            binlog_row_metadata: 'FULL',
            slow_query_log: '1',
            log_output: 'FILE',
          }
      const off = Object.entries(wanted).find(([key, value]) => parameters[key] !== value)
      return off && `${off[0]} is not ${off[1]}`
    },
  }),
  aboutEach({
    id: 'documentdb-closed',
    pci: ['3.5.1', '4.2.1', '10.2.1', '8.6.3'],
    wants: 'DocumentDB is encrypted, audited and protected, and rotates its own password.',
    types: ['AWS::DocDB::DBCluster'],
    wrong: all(
      expecting({
        StorageEncrypted: true,
        DeletionProtection: true,
        ManageMasterUserPassword: true,
        CopyTagsToSnapshot: true,
      }),
      missing('KmsKeyId', 'MasterUserSecretKmsKeyId'),
      ({ EnableCloudwatchLogsExports }) =>
        String(EnableCloudwatchLogsExports).includes('audit') ? undefined : 'exports no audit log',
      ({ BackupRetentionPeriod }) =>
        Number(BackupRetentionPeriod) >= 7 ? undefined : 'keeps backups for less than a week',
      ({ Port }) => (Port === 27_017 ? 'listens on 27017' : undefined),
    ),
  }),
  aboutEach({
    id: 'documentdb-parameters',
    pci: ['4.2.1', '10.2.1'],
    wants: 'DocumentDB refuses clear text, audits everything, and keeps changes for as long as a move can go back.',
    types: ['AWS::DocDB::DBClusterParameterGroup'],
    wrong: all(expecting({ 'Parameters.tls': 'tls1.2+', 'Parameters.audit_logs': 'all' }), ({ Parameters }) => {
      const seconds = Number(at(Parameters, 'change_stream_log_retention_duration'))
      return seconds >= 86_400 && seconds <= 604_800
        ? undefined
        : 'keeps changes for less than a day, or more than it can'
    }),
  }),
  aboutEach({
    id: 'cache-closed',
    pci: ['3.5.1', '4.2.1', '8.2.1'],
    wants: 'The cache is encrypted at rest and on the wire, asks for a user, and is not on the well-known port.',
    types: ['AWS::ElastiCache::ReplicationGroup'],
    wrong: all(
      expecting({ AtRestEncryptionEnabled: true, TransitEncryptionEnabled: true, TransitEncryptionMode: 'required' }),
      missing('KmsKeyId', 'UserGroupIds', 'LogDeliveryConfigurations'),
      ({ Port }) => (Port === 6379 ? 'listens on 6379' : undefined),
      ({ SnapshotRetentionLimit }) => (Number(SnapshotRetentionLimit) >= 1 ? undefined : 'keeps no snapshot'),
    ),
  }),
  aboutEach({
    id: 'cache-parameters',
    pci: [],
    wants: 'The cache tells of its changes, which a move back needs, and never throws keys away by itself.',
    types: ['AWS::ElastiCache::ParameterGroup'],
    wrong: expecting({ 'Properties.notify-keyspace-events': 'KEA', 'Properties.maxmemory-policy': 'noeviction' }),
  }),
  aboutEach({
    id: 'cache-users',
    pci: ['7.2.5', '8.6.2'],
    wants: 'Users of the cache have a password and no dangerous commands.',
    types: ['AWS::ElastiCache::User'],
    wrong: ({ AccessString, AuthenticationMode }) => {
      if (!String(AccessString).includes('-@dangerous')) return 'may call dangerous commands'
      return at(AuthenticationMode, 'Type') === 'password' ? undefined : 'needs no password'
    },
  }),
  aboutEach({
    id: 'broker-closed',
    pci: ['3.5.1', '1.4.4', '10.2.1'],
    wants:
      'Brokers are private, encrypted under the company’s key, and keep a log; ActiveMQ also of its administration.',
    types: ['AWS::AmazonMQ::Broker'],
    wrong: all(
      expecting({
        'PubliclyAccessible': false,
        'EncryptionOptions.UseAwsOwnedKey': false,
        'Logs.General': true,
        'AutoMinorVersionUpgrade': true,
      }),
      missing('EncryptionOptions.KmsKeyId', 'SecurityGroups'),
      ({ EngineType, Logs }) => (EngineType === 'ACTIVEMQ' && at(Logs, 'Audit') !== true ? 'audits nobody' : undefined),
    ),
  }),
  aboutEach({
    id: 'search-closed',
    pci: ['3.5.1', '4.2.1', '7.2.5', '10.2.1'],
    wants: 'Search is in the network, encrypted everywhere, asks for a user and writes all four logs.',
    types: ['AWS::OpenSearchService::Domain'],
    wrong: all(
      expecting({
        'EncryptionAtRestOptions.Enabled': true,
        'NodeToNodeEncryptionOptions.Enabled': true,
        'DomainEndpointOptions.EnforceHTTPS': true,
        'AdvancedSecurityOptions.Enabled': true,
        'AdvancedSecurityOptions.InternalUserDatabaseEnabled': true,
        'SoftwareUpdateOptions.AutoSoftwareUpdateEnabled': true,
      }),
      missing('VPCOptions.SubnetIds', 'EncryptionAtRestOptions.KmsKeyId'),
      ({ LogPublishingOptions }) =>
        Object.values((LogPublishingOptions ?? {}) as object).filter((log) => at(log, 'Enabled') === true).length === 4
          ? undefined
          : 'lacks a log',
      ({ DomainEndpointOptions }) =>
        String(at(DomainEndpointOptions, 'TLSSecurityPolicy')).includes('PFS') ? undefined : 'allows old suites',
    ),
  }),
  aboutEach({
    id: 'bucket-closed',
    pci: ['1.4.4', '3.5.1'],
    wants: 'Buckets are closed to the public, encrypted, versioned and without lists of rights on single objects.',
    types: ['AWS::S3::Bucket'],
    atLeastOne: true,
    wrong: all(
      expecting({
        'PublicAccessBlockConfiguration.BlockPublicAcls': true,
        'PublicAccessBlockConfiguration.BlockPublicPolicy': true,
        'PublicAccessBlockConfiguration.IgnorePublicAcls': true,
        'PublicAccessBlockConfiguration.RestrictPublicBuckets': true,
        'VersioningConfiguration.Status': 'Enabled',
        'OwnershipControls.Rules.0.ObjectOwnership': 'BucketOwnerEnforced',
      }),
      missing('BucketEncryption.ServerSideEncryptionConfiguration.0.ServerSideEncryptionByDefault.SSEAlgorithm'),
    ),
  }),
  {
    id: 'bucket-tls',
    pci: ['4.2.1'],
    wants: 'Every bucket refuses clear text, and TLS older than 1.2.',
    violations: (graph) => {
      const guarded = graph
        .ofType('AWS::S3::BucketPolicy')
        .filter(({ properties }) => {
          const refused = ((at(properties.PolicyDocument, 'Statement') ?? []) as readonly Properties[])
            .filter(isForEverybody)
            .map(({ Condition }) => JSON.stringify(Condition ?? ''))
          return ['{"Bool":{"aws:SecureTransport":false}}', '{"NumericLessThan":{"s3:TlsVersion":"1.2"}}'].every(
            (condition) => refused.includes(condition),
          )
        })
        .flatMap(({ properties }) => graph.named(properties.Bucket))
      const open = graph.ofType('AWS::S3::Bucket').filter((bucket) => !guarded.includes(bucket))
      return open.map(({ id }) => ({ at: id, what: 'answers in clear' }))
    },
  },
  aboutEach({
    id: 'share-closed',
    pci: ['3.5.1', '4.2.1'],
    wants: 'Shares are encrypted, and mounted over TLS only.',
    types: ['AWS::EFS::FileSystem'],
    wrong: all(
      expecting({ 'Encrypted': true, 'FileSystemProtection.ReplicationOverwriteProtection': 'ENABLED' }),
      missing('KmsKeyId'),
      ({ FileSystemPolicy }) =>
        JSON.stringify(FileSystemPolicy ?? '').includes('"aws:SecureTransport":false') ? undefined : 'answers in clear',
    ),
  }),
  aboutEach({
    id: 'windows-share-audited',
    pci: ['3.5.1', '10.2.1'],
    wants: 'Windows shares are encrypted under the company’s key, backed up and audited.',
    types: ['AWS::FSx::FileSystem'],
    wrong: all(
      missing('KmsKeyId', 'WindowsConfiguration.AuditLogConfiguration.AuditLogDestination'),
      expecting({
        'WindowsConfiguration.AuditLogConfiguration.FileAccessAuditLogLevel': 'SUCCESS_AND_FAILURE',
        'WindowsConfiguration.AuditLogConfiguration.FileShareAccessAuditLogLevel': 'SUCCESS_AND_FAILURE',
        'WindowsConfiguration.CopyTagsToBackups': true,
      }),
      ({ WindowsConfiguration }) =>
        Number(at(WindowsConfiguration, 'AutomaticBackupRetentionDays')) >= 7
          ? undefined
          : 'keeps backups for less than a week',
    ),
  }),
  aboutEach({
    id: 'objects-in-hand',
    pci: ['3.5.1', '10.2.1', '3.2.1'],
    wants: 'Buckets of stores are under the company’s key, log every access, tell of failures, and drop old versions.',
    types: ['AWS::S3::Bucket'],
    wrong: (properties, resource, graph) =>
      resource.serves.some((id) => id.startsWith('store.')) ? objectsWrong(properties, resource, graph) : undefined,
  }),
  aboutEach({
    id: 'relational-audited',
    pci: ['10.2.1'],
    wants: 'MySQL and MariaDB log who connects and what changes tables or rights, and no query, which holds values.',
    types: ['AWS::RDS::DBInstance'],
    wrong: ({ Engine, OptionGroupName, EnableCloudwatchLogsExports }, _, graph) => {
      if (Engine === 'postgres') return undefined
      const text = JSON.stringify(graph.named(OptionGroupName)[0]?.properties ?? '')
      if (
        !text.includes('"MARIADB_AUDIT_PLUGIN"') ||
        !text.includes('"SERVER_AUDIT_EVENTS"') ||
        !text.includes('CONNECT,QUERY_DDL,QUERY_DCL')
      )
        return 'audits nobody'
      return String(EnableCloudwatchLogsExports).includes('audit') ? undefined : 'keeps its audit log to itself'
    },
  }),
  {
    id: 'store-logs-ours',
    pci: ['10.5.1', '3.6.1'],
    wants: 'A log that a store exports stands in a group of ours: encrypted, and kept for twelve months.',
    violations: (graph) => {
      const groups = new Set(graph.ofType('AWS::Logs::LogGroup').map(({ properties }) => properties.LogGroupName))
      return exportedLogsOf(graph)
        .filter(({ group }) => !groups.has(group))
        .map(({ id, group }) => ({ at: id, what: `${group} would be made by the service itself` }))
    },
  },
  {
    id: 'backup-tagged',
    pci: ['10.3.3', '9.4.1'],
    wants: 'What AWS Backup can copy is named to its plan.',
    violations: (graph, { environment }) =>
      graph
        .ofType(...backedUpTypes)
        .filter(({ serves }) => serves.some((id) => id.startsWith('store.')))
        .filter(({ properties }) => {
          const tags = JSON.stringify([properties.Tags, properties.FileSystemTags])
          return !tags.includes(`{"Key":"replatform:backup","Value":"${environment}"}`)
        })
        .map(({ id }) => ({ at: id, what: 'is in no plan' })),
  },
  {
    id: 'data-kept',
    pci: ['3.2.1'],
    wants: 'What holds data is kept, or at least a snapshot of it, when its stack goes.',
    violations: (graph) =>
      kept(
        graph.ofType(
          'AWS::RDS::DBInstance',
          'AWS::RDS::DBCluster',
          'AWS::DocDB::DBCluster',
          'AWS::ElastiCache::ReplicationGroup',
          'AWS::AmazonMQ::Broker',
          'AWS::OpenSearchService::Domain',
          'AWS::S3::Bucket',
          'AWS::EFS::FileSystem',
          'AWS::FSx::FileSystem',
          'AWS::Logs::LogGroup',
        ),
        ['Retain', 'Snapshot'],
      ),
  },
  aboutEach({
    id: 'disk-encrypted',
    pci: ['3.5.1', '3.6.1'],
    wants: 'Disks of machines are encrypted under the company’s key.',
    types: ['AWS::EC2::LaunchTemplate'],
    atLeastOne: true,
    wrong: ({ LaunchTemplateData }) => {
      const disks = (at(LaunchTemplateData, 'BlockDeviceMappings') ?? []) as readonly unknown[]
      if (disks.length === 0) return 'describes no disk'
      return disks.every((disk) => at(disk, 'Ebs.Encrypted') === true && at(disk, 'Ebs.KmsKeyId'))
        ? undefined
        : 'has a disk in clear'
    },
  }),
  aboutEach({
    id: 'secret-under-key',
    pci: ['8.3.2', '8.6.2', '3.6.1'],
    wants: 'Passwords are made by a machine, long, and kept under the company’s key.',
    types: ['AWS::SecretsManager::Secret'],
    wrong: all(missing('KmsKeyId', 'GenerateSecretString'), ({ GenerateSecretString, SecretString }) => {
      if (SecretString) return 'holds a password that somebody wrote'
      return Number(at(GenerateSecretString, 'PasswordLength')) >= 32 ? undefined : 'is short'
    }),
  }),
]

function kept(resources: readonly { id: string; deletionPolicy: string | undefined }[], policies: readonly string[]) {
  const lost = resources.filter(({ deletionPolicy }) => !policies.includes(deletionPolicy ?? ''))
  return lost.map(({ id }) => ({ at: id, what: 'would be deleted with its stack' }))
}

/** Refuses everything, to anybody, of the bucket and of what is in it. */
function isForEverybody({ Effect, Principal, Action, Resource }: Properties): boolean {
  return Effect === 'Deny' && Principal === '*' && Action === 's3:*' && Number(at(Resource, 'length')) === 2
}

const objectsWrong = missing(
  'BucketEncryption.ServerSideEncryptionConfiguration.0.ServerSideEncryptionByDefault.KMSMasterKeyID',
  'LoggingConfiguration.DestinationBucketName',
  'LifecycleConfiguration.Rules.0.Status',
  'LifecycleConfiguration.Rules.1.Status',
  'LifecycleConfiguration.Rules.0.NoncurrentVersionExpiration.NoncurrentDays',
  'LifecycleConfiguration.Rules.1.AbortIncompleteMultipartUpload.DaysAfterInitiation',
  'MetricsConfigurations.0.Id',
)

/** Source: AWS Backup developer guide, "Feature availability by resource". */
const backedUpTypes = [
  'AWS::RDS::DBInstance',
  'AWS::RDS::DBCluster',
  'AWS::DocDB::DBCluster',
  'AWS::S3::Bucket',
  'AWS::EFS::FileSystem',
  'AWS::FSx::FileSystem',
  'AWS::EC2::Instance',
]

/** Under the names that each service writes to. The control database of the moves goes with them, its log as well. */
function exportedLogsOf(graph: TemplateGraph): { readonly id: string; readonly group: string }[] {
  const forms = [
    ['AWS::RDS::DBInstance', '/aws/rds/instance', 'DBInstanceIdentifier'],
    ['AWS::RDS::DBCluster', '/aws/rds/cluster', 'DBClusterIdentifier'],
    ['AWS::DocDB::DBCluster', '/aws/docdb', 'DBClusterIdentifier'],
  ] as const
  return forms.flatMap(([type, prefix, identifier]) =>
    graph
      .ofType(type)
      .filter(({ serves }) => !serves.includes('migration'))
      .flatMap(({ id, properties }) =>
        ((properties.EnableCloudwatchLogsExports ?? []) as readonly string[]).map((log) => ({
          id,
          group: `${prefix}/${properties[identifier]}/${log}`,
        })),
      ),
  )
}
