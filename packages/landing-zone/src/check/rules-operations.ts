import type { Properties } from '../template/template-graph.ts'
import { aboutEach, all, at, expecting, missing, type Rule } from './rule.ts'

const inProduction = ({ isProduction }: { readonly isProduction: boolean }) => isProduction

/** Availability, access of machines and people, logs and alarms (PCI-DSS 4.0.1, 2, 5 to 8, 10 to 12). */
export const operationRules: readonly Rule[] = [
  {
    id: 'zones-used',
    pci: [],
    wants: 'Each tier has its subnet in every zone that it should stand in.',
    violations: (graph, { subnets }) => {
      const built = graph.ofType('AWS::EC2::Subnet').map(({ properties }) => properties.CidrBlock)
      return subnets
        .filter(({ cidr }) => !built.includes(cidr))
        .map(({ tier, zone }) => ({ at: `${tier} ${zone}`, what: 'has no subnet' }))
    },
  },
  {
    id: 'nat-per-zone',
    pci: [],
    wants: 'In production the loss of a zone takes nobody else’s way out.',
    violations: (graph, { natZones, isProduction, settings }) => {
      if (!isProduction || settings.nat === 'one') return []
      const gateways = graph.ofType('AWS::EC2::NatGateway').length
      return gateways === natZones.length ? [] : [{ at: 'network', what: `${gateways} gateways` }]
    },
  },
  aboutEach({
    id: 'relational-standby',
    pci: [],
    wants: 'In production a relational store has a standby in another zone.',
    types: ['AWS::RDS::DBInstance'],
    when: inProduction,
    wrong: expecting({ MultiAZ: true }),
  }),
  aboutEach({
    id: 'cache-standby',
    pci: [],
    wants: 'In production the cache fails over to a replica in another zone by itself.',
    types: ['AWS::ElastiCache::ReplicationGroup'],
    when: inProduction,
    wrong: all(expecting({ AutomaticFailoverEnabled: true, MultiAZEnabled: true }), ({ ReplicasPerNodeGroup }) =>
      Number(ReplicasPerNodeGroup) >= 1 ? undefined : 'has no replica',
    ),
  }),
  aboutEach({
    id: 'broker-pair',
    pci: [],
    wants: 'In production a broker stands in more than one zone.',
    types: ['AWS::AmazonMQ::Broker'],
    when: inProduction,
    wrong: ({ DeploymentMode, SubnetIds }) => {
      const isPair = DeploymentMode === 'ACTIVE_STANDBY_MULTI_AZ' || DeploymentMode === 'CLUSTER_MULTI_AZ'
      return isPair && Number(at(SubnetIds, 'length')) >= 2 ? undefined : 'stands in one zone'
    },
  }),
  {
    id: 'documents-in-every-zone',
    pci: [],
    wants: 'In production DocumentDB has an instance in every zone.',
    violations: (graph, { isProduction, zones }) => {
      if (!isProduction) return []
      return graph.ofType('AWS::DocDB::DBCluster').flatMap((cluster) => {
        const members = graph.usersOf(cluster).filter(({ type }) => type === 'AWS::DocDB::DBInstance').length
        return members >= zones.length ? [] : [{ at: cluster.id, what: `${members} instances` }]
      })
    },
  },
  {
    id: 'share-in-every-zone',
    pci: [],
    wants: 'A share is reached in every zone; in production one for Windows is a pair over two.',
    violations: (graph, { isProduction, zones }) => [
      ...graph.ofType('AWS::EFS::FileSystem').flatMap((share) => {
        const mounts = graph.usersOf(share).filter(({ type }) => type === 'AWS::EFS::MountTarget').length
        const isRegional = share.properties.AvailabilityZoneName === undefined
        return isRegional && mounts >= zones.length ? [] : [{ at: share.id, what: `${mounts} mount targets` }]
      }),
      ...graph
        .ofType('AWS::FSx::FileSystem')
        .filter(
          ({ properties }) => isProduction && at(properties, 'WindowsConfiguration.DeploymentType') !== 'MULTI_AZ_1',
        )
        .map(({ id }) => ({ at: id, what: 'stands in one zone' })),
    ],
  },
  aboutEach({
    id: 'search-masters',
    pci: [],
    wants: 'In production search has a node in every zone and three masters that do nothing else.',
    types: ['AWS::OpenSearchService::Domain'],
    when: inProduction,
    wrong: all(
      expecting({
        'ClusterConfig.ZoneAwarenessEnabled': true,
        'ClusterConfig.DedicatedMasterEnabled': true,
        'ClusterConfig.DedicatedMasterCount': 3,
      }),
      ({ ClusterConfig }) => {
        const zones = Number(at(ClusterConfig, 'ZoneAwarenessConfig.AvailabilityZoneCount'))
        return Number(at(ClusterConfig, 'InstanceCount')) >= zones ? undefined : 'lacks a node in a zone'
      },
    ),
  }),
  aboutEach({
    id: 'group-heals',
    pci: [],
    wants: 'A machine that its balancer finds sick is replaced; in production one remains meanwhile.',
    types: ['AWS::AutoScaling::AutoScalingGroup'],
    atLeastOne: true,
    wrong: all(
      expecting({ HealthCheckType: 'ELB' }),
      missing('TargetGroupARNs.0', 'NotificationConfigurations.0'),
      ({ VPCZoneIdentifier }) => (Number(at(VPCZoneIdentifier, 'length')) >= 2 ? undefined : 'stands in one zone'),
    ),
  }),
  aboutEach({
    id: 'machine-metadata',
    pci: ['2.2.1', '6.2.4'],
    wants: 'A machine gives its credentials to sessions only, and to nobody behind it.',
    types: ['AWS::EC2::LaunchTemplate'],
    atLeastOne: true,
    wrong: expecting({
      'LaunchTemplateData.MetadataOptions.HttpTokens': 'required',
      'LaunchTemplateData.MetadataOptions.HttpPutResponseHopLimit': 1,
      'LaunchTemplateData.Monitoring.Enabled': true,
    }),
  }),
  aboutEach({
    id: 'no-machine-keys',
    pci: ['8.2.2', '2.2.7'],
    wants: 'Nobody logs in with a key of a machine: administration goes through Session Manager.',
    types: ['AWS::EC2::LaunchTemplate', 'AWS::EC2::Instance'],
    wrong: ({ KeyName, LaunchTemplateData }) =>
      (KeyName ?? at(LaunchTemplateData, 'KeyName')) ? 'has a key' : undefined,
  }),
  aboutEach({
    id: 'rehosted-recovers',
    pci: [],
    wants: 'A rehosted machine cannot be terminated in passing.',
    types: ['AWS::EC2::Instance'],
    wrong: expecting({ DisableApiTermination: true }),
  }),
  aboutEach({
    id: 'machine-recovers',
    pci: [],
    wants: 'A machine that nothing replaces is moved to another host by AWS when its own fails.',
    types: ['AWS::EC2::Instance'],
    wrong: (_, machine, graph) => {
      const alarms = graph.usersOf(machine).filter(({ type }) => type === 'AWS::CloudWatch::Alarm')
      const recovers = alarms.some(
        ({ properties }) =>
          properties.MetricName === 'StatusCheckFailed_System' &&
          JSON.stringify(properties.AlarmActions).includes(':ec2:recover'),
      )
      return recovers ? undefined : 'has no alarm that recovers it'
    },
  }),
  {
    id: 'state-stays',
    pci: [],
    wants: 'Machines of a service that keeps state are never replaced, and their disks outlive them.',
    violations: (graph, { services }) =>
      services
        .filter(({ stateful }) => stateful)
        .flatMap(({ name }) => {
          const own = graph.resources.filter(({ serves }) => serves[0] === `service.${name}`)
          const replaced = own.filter(({ type }) => type === 'AWS::AutoScaling::AutoScalingGroup')
          const lost = own.filter(
            ({ properties }) =>
              at(properties, 'LaunchTemplateData.BlockDeviceMappings.0.Ebs.DeleteOnTermination') === true,
          )
          return [
            ...replaced.map(({ id }) => ({ at: id, what: 'replaces machines with state' })),
            ...lost.map(({ id }) => ({ at: id, what: 'deletes disks with state' })),
          ]
        }),
  },
  aboutEach({
    id: 'group-renewed',
    pci: ['6.3.3'],
    wants: 'Machines without state and without an image of their own are replaced by fresh ones every week.',
    types: ['AWS::AutoScaling::AutoScalingGroup'],
    wrong: ({ LaunchTemplate }, group, graph) => {
      const template = graph.named(at(LaunchTemplate, 'LaunchTemplateId'))[0]
      const image = String(at(template?.properties, 'LaunchTemplateData.ImageId'))
      const clock = graph.usersOf(group).find(({ type }) => type === 'AWS::Scheduler::Schedule')
      const target = String(at(clock?.properties, 'Target.Arn'))
      return image.startsWith('ami-') || target.endsWith(':startInstanceRefresh') ? undefined : 'grows old'
    },
  }),
  aboutEach({
    id: 'workers-closed',
    pci: ['1.4.4', '7.2.5', '2.2.1'],
    wants:
      'Workers of the migration have no public address, nobody opens a shell in them, and their disk is read-only.',
    types: ['AWS::ECS::Service', 'AWS::ECS::TaskDefinition'],
    wrong: ({ EnableExecuteCommand, NetworkConfiguration, ContainerDefinitions }) => {
      if (EnableExecuteCommand === true) return 'lets people open a shell'
      if (at(NetworkConfiguration, 'AwsvpcConfiguration.AssignPublicIp') === 'ENABLED') return 'has a public address'
      const containers = (ContainerDefinitions ?? []) as readonly Properties[]
      return containers.every(({ ReadonlyRootFilesystem }) => ReadonlyRootFilesystem === true)
        ? undefined
        : 'may write on its disk'
    },
  }),
  {
    id: 'rights-are-narrow',
    pci: ['7.2.5', '7.2.2'],
    wants: 'No role may do everything, and what it may do everywhere is what knows no resource.',
    violations: (graph) =>
      graph.ofType('AWS::IAM::Role', 'AWS::IAM::Policy').flatMap(({ id, properties }) =>
        statementsOf(properties).flatMap((statement) => {
          const actions = [statement.Action].flat().map(String)
          const tooMuch = actions.find((action) => action === '*' || action.endsWith(':*'))
          if (tooMuch) return [{ at: id, what: `may do ${tooMuch}` }]
          const everywhere = statement.Resource === '*' && !statement.Condition
          const named = everywhere
            ? actions.filter((action) => !withoutResource.some((known) => action.startsWith(known)))
            : []
          return named.length > 0 ? [{ at: id, what: `may ${named[0]} everywhere` }] : []
        }),
      ),
  },
  {
    id: 'secrets-by-name',
    pci: ['7.2.5', '8.6.2'],
    wants: 'A role reads secrets by their name, never all of them.',
    violations: (graph) =>
      graph.ofType('AWS::IAM::Role', 'AWS::IAM::Policy').flatMap(({ id, properties }) =>
        statementsOf(properties)
          .filter(({ Action }) =>
            [Action]
              .flat()
              .map(String)
              .some((action) => action.startsWith('secretsmanager:')),
          )
          .flatMap(({ Resource }) =>
            [Resource]
              .flat()
              .map(String)
              .some((resource) => resource === '*' || resource.endsWith('secret:*'))
              ? [{ at: id, what: 'reads every secret' }]
              : [],
          ),
      ),
  },
  aboutEach({
    id: 'trail-complete',
    pci: ['10.2.1', '10.3.2', '10.3.4'],
    wants: 'The audit trail covers all regions, is validated, encrypted, and searched.',
    types: ['AWS::CloudTrail::Trail'],
    when: ({ ownsAccount }) => ownsAccount,
    atLeastOne: true,
    wrong: all(
      expecting({
        IsLogging: true,
        IsMultiRegionTrail: true,
        IncludeGlobalServiceEvents: true,
        EnableLogFileValidation: true,
      }),
      missing('KMSKeyId', 'CloudWatchLogsLogGroupArn'),
    ),
  }),
  {
    id: 'trail-locked',
    pci: ['10.3.2', '10.5.1'],
    wants: 'Files of the trail cannot be changed for twelve months.',
    violations: (graph, { ownsAccount }) => {
      if (!ownsAccount) return []
      const bucket = graph
        .ofType('AWS::CloudTrail::Trail')
        .flatMap(({ properties }) => graph.named(properties.S3BucketName))[0]
      const days = Number(at(bucket?.properties, 'ObjectLockConfiguration.Rule.DefaultRetention.Days'))
      const mode = at(bucket?.properties, 'ObjectLockConfiguration.Rule.DefaultRetention.Mode')
      const isLocked = bucket?.properties.ObjectLockEnabled === true
      return isLocked && days >= 365 && mode === 'COMPLIANCE'
        ? []
        : [{ at: bucket?.id ?? 'trail', what: 'is not locked for a year' }]
    },
  },
  aboutEach({
    id: 'logs-kept',
    pci: ['10.5.1', '10.3.1'],
    wants: 'Logs are kept for twelve months, encrypted under the company’s key.',
    types: ['AWS::Logs::LogGroup'],
    atLeastOne: true,
    wrong: all(missing('KmsKeyId'), ({ RetentionInDays }) =>
      Number(RetentionInDays) >= 365 ? undefined : 'is kept for less than a year',
    ),
  }),
  aboutEach({
    id: 'threats-detected',
    pci: ['5.2.1', '11.5.1', '10.4.1.1'],
    wants: 'Threats are looked for in storage, on disks, at databases and on machines.',
    types: ['AWS::GuardDuty::Detector'],
    when: ({ ownsAccount }) => ownsAccount,
    atLeastOne: true,
    wrong: ({ Enable, Features, FindingPublishingFrequency }) => {
      const on = ((Features ?? []) as Properties[]).filter(({ Status }) => Status === 'ENABLED').map(({ Name }) => Name)
      const wanted = ['S3_DATA_EVENTS', 'EBS_MALWARE_PROTECTION', 'RDS_LOGIN_EVENTS', 'RUNTIME_MONITORING']
      const off = wanted.find((name) => !on.includes(name))
      if (Enable !== true || off) return `${off ?? 'the detector'} is off`
      return FindingPublishingFrequency === 'FIFTEEN_MINUTES' ? undefined : 'reports late'
    },
  }),
  aboutEach({
    id: 'controls-checked',
    pci: ['2.2.1', '11.3.1', '12.4.2'],
    wants: 'Security Hub checks the account against PCI-DSS.',
    types: ['AWS::SecurityHub::Standard'],
    when: ({ ownsAccount }) => ownsAccount,
    atLeastOne: true,
    wrong: missing('StandardsArn'),
  }),
  {
    id: 'pci-standard-on',
    pci: ['12.4.2'],
    wants: 'The PCI-DSS standard of Security Hub is switched on.',
    violations: (graph, { ownsAccount }) => {
      const on = graph
        .ofType('AWS::SecurityHub::Standard')
        .some(({ properties }) => String(properties.StandardsArn).includes('/pci-dss/v/4'))
      return on || !ownsAccount ? [] : [{ at: 'security hub', what: 'no PCI-DSS 4 standard' }]
    },
  },
  aboutEach({
    id: 'configuration-recorded',
    pci: ['1.2.1', '11.5.2', '12.5.1'],
    wants: 'Every change of configuration is recorded, of global resources too.',
    types: ['AWS::Config::ConfigurationRecorder'],
    when: ({ ownsAccount }) => ownsAccount,
    atLeastOne: true,
    wrong: expecting({ 'RecordingGroup.AllSupported': true, 'RecordingGroup.IncludeGlobalResourceTypes': true }),
  }),
  {
    id: 'alerts-for-threats',
    pci: ['10.4.1', '10.7.2', '12.10.5'],
    wants:
      'Use of root, failed sign-ins, and changes of policies, keys, the network and the trail itself raise an alarm.',
    violations: (graph, { ownsAccount }) => {
      if (!ownsAccount) return []
      const watched = graph.ofType('AWS::CloudWatch::Alarm').map(({ properties }) => properties.MetricName)
      const wanted = ['RootUsed', 'SignInsFailed', 'PoliciesChanged', 'KeysDisabled', 'NetworkChanged', 'TrailChanged']
      const unseen = wanted.filter((name) => !watched.includes(name))
      return unseen.map((name) => ({ at: name, what: 'raises no alarm' }))
    },
  },
  {
    id: 'egress-watched',
    pci: ['10.4.1.1', '11.5.1', '1.4.2'],
    wants: 'Unusual amounts that leave and names beyond the list raise an alarm; every name asked for is kept.',
    violations: (graph) => {
      const alarms = graph.ofType('AWS::CloudWatch::Alarm')
      const bands = alarms.filter(({ properties }) => properties.ComparisonOperator === 'GreaterThanUpperThreshold')
      const unwatched = graph
        .ofType('AWS::EC2::NatGateway')
        .filter((gateway) => !bands.some(({ properties }) => graph.named(properties.Metrics).includes(gateway)))
      const isFiltered = graph
        .ofType('AWS::Logs::MetricFilter')
        .some(({ properties }) => String(properties.FilterPattern).includes('firewall_rule_action'))
      const isKept = graph.ofType('AWS::Route53Resolver::ResolverQueryLoggingConfigAssociation').length > 0
      const isAlarmed = alarms.some(({ properties }) => properties.MetricName === 'NamesRefused')
      return [
        ...unwatched.map(({ id }) => ({ at: id, what: 'nobody knows what is usual' })),
        ...(isFiltered && isKept && isAlarmed ? [] : [{ at: 'names', what: 'refused names raise no alarm' }]),
      ]
    },
  },
  {
    id: 'logins-watched',
    pci: ['10.2.1', '10.4.1.1', '8.3.2'],
    wants: 'Logins that a store refuses raise an alarm, where its service tells of them.',
    violations: (graph) => {
      const alarms = graph
        .ofType('AWS::CloudWatch::Alarm')
        .filter(({ properties }) => properties.Namespace === 'StoreLogins')
      const named = new Set(alarms.map(({ properties }) => String(properties.MetricName)))
      const filtered = new Set(
        graph
          .ofType('AWS::Logs::MetricFilter')
          .map(({ properties }) => String(at(properties, 'MetricTransformations.0.MetricName'))),
      )
      const byLog = graph
        .ofType(...tellsInLogs)
        .filter(({ serves }) => !serves.includes('migration'))
        .filter(({ properties }) => {
          const name = String(
            properties.DBInstanceIdentifier ?? properties.DBClusterIdentifier ?? properties.DomainName,
          )
          const isNamed = (one: string) => one.startsWith(name)
          return ![...named].some(isNamed) || ![...filtered].some(isNamed)
        })
      const isCacheWatched = graph
        .ofType('AWS::CloudWatch::Alarm')
        .some(
          ({ properties }) =>
            properties.MetricName === 'AuthenticationFailures' && properties.Namespace === 'AWS/ElastiCache',
        )
      const caches = isCacheWatched ? [] : graph.ofType('AWS::ElastiCache::ReplicationGroup')
      return [...byLog, ...caches].map(({ id }) => ({ at: id, what: 'refuses in silence' }))
    },
  },
  {
    id: 'ways-in-watched',
    pci: ['10.7.2'],
    wants: 'A tunnel that is down and sign-ins that the client VPN refuses raise an alarm.',
    violations: (graph) => {
      const watched = graph
        .ofType('AWS::CloudWatch::Alarm')
        .flatMap(({ properties }) => graph.named(properties.Dimensions))
      return graph
        .ofType('AWS::EC2::VPNConnection', 'AWS::EC2::ClientVpnEndpoint')
        .filter((way) => !watched.includes(way))
        .map(({ id }) => ({ at: id, what: 'fails in silence' }))
    },
  },
  {
    id: 'dashboard-for-each',
    pci: [],
    wants: 'Each service and each store has a dashboard, and the estate one of its own.',
    violations: (graph, { services, stores, estate, environment }) => {
      const names = graph.ofType('AWS::CloudWatch::Dashboard').map(({ properties }) => properties.DashboardName)
      const prefix = `${estate}-${environment}`
      const wanted = [
        prefix,
        ...services.map(({ name }) => `${prefix}-service-${name}`),
        ...stores.map(({ name }) => `${prefix}-store-${name}`),
      ]
      return wanted.filter((name) => !names.includes(name)).map((name) => ({ at: name, what: 'has no dashboard' }))
    },
  },
  aboutEach({
    id: 'alarm-reaches-somebody',
    pci: ['10.7.3', '12.10.5'],
    wants: 'Every alarm goes to the incident topic.',
    types: ['AWS::CloudWatch::Alarm'],
    atLeastOne: true,
    wrong: ({ AlarmActions }, _, graph) =>
      graph.named(AlarmActions).some(({ type }) => type === 'AWS::SNS::Topic') ? undefined : 'goes nowhere',
  }),
  {
    id: 'topic-has-reader',
    pci: ['12.10.3'],
    wants: 'Somebody reads the incident topic, which is encrypted.',
    violations: (graph) => {
      const topics = graph.ofType('AWS::SNS::Topic')
      const unread = topics.filter(
        (topic) => !graph.usersOf(topic).some(({ type }) => type === 'AWS::SNS::Subscription'),
      )
      const clear = topics.filter(({ properties }) => !properties.KmsMasterKeyId)
      return [
        ...unread.map(({ id }) => ({ at: id, what: 'nobody reads it' })),
        ...clear.map(({ id }) => ({ at: id, what: 'is in clear' })),
      ]
    },
  },
  aboutEach({
    id: 'budget-watched',
    pci: [],
    wants: 'Spending beyond the plan is told before the month ends.',
    types: ['AWS::Budgets::Budget'],
    atLeastOne: true,
    wrong: ({ NotificationsWithSubscribers }) =>
      JSON.stringify(NotificationsWithSubscribers ?? '').includes('FORECASTED') ? undefined : 'tells too late',
  }),
  aboutEach({
    id: 'backup-locked',
    pci: ['10.3.3', '9.4.1'],
    wants: 'In production backups cannot be deleted before their time, by anybody.',
    types: ['AWS::Backup::BackupVault'],
    atLeastOne: true,
    when: inProduction,
    wrong: missing('LockConfiguration.MinRetentionDays', 'LockConfiguration.ChangeableForDays', 'EncryptionKeyArn'),
  }),
  {
    id: 'backup-allowed',
    pci: ['10.3.3'],
    wants: 'Whoever makes the copies may read what is copied, objects included.',
    violations: (graph) =>
      graph
        .ofType('AWS::Backup::BackupSelection')
        .filter(({ properties }) => {
          const policies = JSON.stringify(
            graph.named(at(properties, 'BackupSelection.IamRoleArn')).map((role) => role.properties.ManagedPolicyArns),
          )
          return !['PolicyForBackup', 'PolicyForS3Backup'].every((policy) => policies.includes(policy))
        })
        .map(({ id }) => ({ at: id, what: 'may not read everything' })),
  },
  aboutEach({
    id: 'patched',
    pci: ['6.3.3'],
    wants: 'Machines get security updates every week, one after the other.',
    types: ['AWS::SSM::MaintenanceWindowTask'],
    atLeastOne: true,
    wrong: all(expecting({ TaskArn: 'AWS-RunPatchBaseline', MaxConcurrency: '1' }), ({ TaskInvocationParameters }) =>
      JSON.stringify(TaskInvocationParameters ?? '').includes('"Install"') ? undefined : 'only looks',
    ),
  }),
  {
    id: 'serves-a-requirement',
    pci: ['2.2.4', '12.5.1'],
    wants: 'Every resource says which requirement it serves.',
    violations: (graph) =>
      graph.resources.filter(({ serves }) => serves.length === 0).map(({ id }) => ({ at: id, what: 'serves none' })),
  },
]

/** ElastiCache tells by a figure; brokers, shares and machines by nothing that exists before they do. */
const tellsInLogs = [
  'AWS::RDS::DBInstance',
  'AWS::RDS::DBCluster',
  'AWS::DocDB::DBCluster',
  'AWS::OpenSearchService::Domain',
]

/** Calls that know no resource. Source: service authorization reference, "Actions defined by …". */
const withoutResource = [
  'ssm:',
  'ssmmessages:',
  'ec2messages:',
  'ecr:GetAuthorizationToken',
  'cloudwatch:PutMetricData',
  'xray:Put',
]

interface Statement {
  readonly Action?: unknown
  readonly Resource?: unknown
  readonly Condition?: unknown
}

function statementsOf(properties: Properties): Statement[] {
  const documents = [
    properties.PolicyDocument,
    ...((properties.Policies ?? []) as Properties[]).map(({ PolicyDocument }) => PolicyDocument),
  ]
  return documents.flatMap((document) => ((document as Properties | undefined)?.Statement ?? []) as Statement[])
}
