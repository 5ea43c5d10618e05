import { beforeAll, expect, test } from 'vitest'
import { proveReachability } from '../reach/prove.ts'
import { type Resource, TemplateGraph } from '../template/template-graph.ts'
import { graphOf } from '../test-fixtures/graph-of.ts'
import { changedAt, nameOf, type Path, settingsIn, switchesIn } from '../test-fixtures/mutations.ts'
import { everyForm, patienceMs } from '../test-fixtures/wallet-estate.ts'
import { rules } from './check.ts'

/**
 * Goal: each setting is proved necessary. Method: every switch of the templates is turned over, one at a time, and every
 * rule of a security group taken away; some rule or the proof of what is open must notice. A switch that may be turned
 * without harm stands in `harmless`, with the reason.
 */
const harmless: Readonly<Record<string, string>> = {
  'AWS::AutoScaling::AutoScalingGroup Tags.#.PropagateAtLaunch': 'names for people',
  'AWS::SecretsManager::Secret GenerateSecretString.ExcludePunctuation': 'length is held by secret-under-key',
  'AWS::AmazonMQ::Broker Logs.Audit': 'RabbitMQ has no audit log; for ActiveMQ it is held by broker-closed',
  'AWS::Backup::BackupPlan BackupPlan.BackupPlanRule.#.EnableContinuousBackup':
    'any instant instead of a day; a comfort',
  'AWS::CloudWatch::Alarm Metrics.#.ReturnData': 'CloudWatch refuses a band whose figure is not returned',
  'AWS::DocDB::DBInstance AutoMinorVersionUpgrade': 'DocumentDB upgrades by the cluster',
  'AWS::DocDB::DBInstance EnablePerformanceInsights': 'a view for people',
  'AWS::EC2::ClientVpnAuthorizationRule AuthorizeAllGroups': 'the identity provider keeps the group',
  'AWS::EC2::ClientVpnEndpoint SplitTunnel': 'what people do on the internet is not the estate’s',
  'AWS::EC2::LaunchTemplate LaunchTemplateData.BlockDeviceMappings.#.Ebs.DeleteOnTermination':
    'machines keep no data; stores keep theirs',
  'AWS::EC2::LaunchTemplate LaunchTemplateData.EbsOptimized': 'speed',
  'AWS::EC2::Instance EbsOptimized': 'speed',
  'AWS::EC2::NetworkAclEntry Egress': 'taken away entry by entry, below',
  'AWS::ElastiCache::ReplicationGroup AutoMinorVersionUpgrade': 'the service update calendar does it',
  'AWS::ElasticLoadBalancingV2::TargetGroup HealthCheckEnabled': 'cannot be turned off for machines',
  'AWS::OpenSearchService::Domain ClusterConfig.MultiAZWithStandbyEnabled': 'an extra that somebody must ask for',
  'AWS::OpenSearchService::Domain EBSOptions.EBSEnabled': 'these classes have no other disk',
  'AWS::OpenSearchService::Domain OffPeakWindowOptions.Enabled': 'when updates come, not whether',
  'AWS::RDS::DBInstance EnablePerformanceInsights': 'a view for people',
  'AWS::RDS::DBInstance EnableIAMDatabaseAuthentication': 'an offer beside passwords that rotate',
  'AWS::S3::Bucket BucketEncryption.ServerSideEncryptionConfiguration.#.BucketKeyEnabled': 'cost',
  'AWS::Route53::RecordSet AliasTarget.EvaluateTargetHealth': 'one balancer a name: there is nothing to turn to',
  'AWS::SecurityHub::Hub AutoEnableControls': 'new controls; those of the standard are on',
  'AWS::SecurityHub::Hub EnableDefaultStandards': 'the standards are named one by one',
  'AWS::Synthetics::Canary StartCanaryAfterCreation': 'its alarm tells when it does not run',
  'AWS::SSM::MaintenanceWindow AllowUnassociatedTargets': 'targets are found by tag',
  'AWS::WAFv2::WebACL VisibilityConfig.CloudWatchMetricsEnabled': 'a view for people',
  'AWS::WAFv2::WebACL VisibilityConfig.SampledRequestsEnabled': 'a view for people; the log has every request',
  'AWS::WAFv2::WebACL Rules.#.VisibilityConfig.CloudWatchMetricsEnabled': 'a view for people',
  'AWS::WAFv2::WebACL Rules.#.VisibilityConfig.SampledRequestsEnabled': 'a view for people; the log has every request',
}

/** Settings of stores that no rule asks for, by how their names end, and who holds them. */
const heldElsewhere: readonly (readonly [RegExp, string])[] = [
  [/(Description|Tags|PolicyName|Sid|Version|LogFilePrefix|Rules\.#\.Id)$/, 'words for people and names for tools'],
  [
    /(BrokerName|Configuration Name|LogGroupName|UserId|UserName|UserGroupId|GroupId)$/,
    'names: who refers to them fails',
  ],
  [
    /(Engine|EngineName|EngineType|Family|EngineVersion|FileSystemType|SubnetIds)$/,
    'CloudFormation refuses without them',
  ],
  [/(MasterUsername|Users|Users\.#|Users\.#\.Username|Users\.#\.Password)$/, 'CloudFormation refuses without them'],
  [/(InstanceClass|InstanceType|HostInstanceType|CacheNodeType|MasterType|NumNodeGroups)$/, 'sizes: plan/sizing'],
  [/(AllocatedStorage|Iops|StorageType|StorageCapacity|ThroughputCapacity|ThroughputMode)$/, 'sizes: plan/sizing'],
  [/(EBSOptions|VolumeSize|VolumeType)$/, 'sizes: plan/sizing'],
  [/(MaintenanceWindowStartTime.*|OffPeakWindowOptions.*)$/, 'when updates come, not whether'],
  [/(AvailabilityZone|PreferredSubnetId|ZoneAwarenessConfig)$/, 'which zone, not how many'],
  [/CACertificateIdentifier$/, 'AWS chooses its newest without it'],
  [/LogDeliveryConfigurations\.#\.(LogType|LogFormat|DestinationType)$/, 'CloudFormation refuses without them'],
  [/BackupPolicy$/, 'the plan of the locked vault makes the copies: backup-tagged'],
  [/Parameters\.(profiler|shared_preload_libraries)$/, 'a view for people'],
  [/Parameters\.(max_slot_wal_keep_size|binlog_expire_logs_seconds|log_error_verbosity)$/, 'the snapshot of the whole'],
]

const blueprint = everyForm()
let graph: TemplateGraph
beforeAll(() => {
  graph = graphOf(blueprint)
}, patienceMs)

test(
  'no switch can be turned over unnoticed',
  () => {
    expect(unnoticedOf(graph.resources, switchesIn, (value) => !value, harmless)).toEqual([])
  },
  patienceMs,
)

test(
  'no setting of a store can be taken away unnoticed',
  () => {
    const stores = graph.resources.filter(isStore)
    expect(new Set(stores.map(({ type }) => type)).size).toBeGreaterThan(15)
    const unnoticed = unnoticedOf(stores, settingsIn, () => undefined, harmless)
    const isHeld = (name: string) => heldElsewhere.some(([end]) => end.test(name))
    expect(unnoticed.filter((name) => !isHeld(name))).toEqual([])
    const idle = heldElsewhere.filter(([end]) => !unnoticed.some((name) => end.test(name)))
    expect(idle.map(([end]) => end.source)).toEqual([])
  },
  patienceMs,
)

test('what is called harmless exists', () => {
  const names = new Set(
    graph.resources.flatMap((resource) =>
      [...switchesIn(resource.properties), ...settingsIn(resource.properties)].map((path) => nameOf(resource, path)),
    ),
  )
  expect(Object.keys(harmless).filter((name) => !names.has(name))).toEqual([])
})

test(
  'no rule of a group, route or entry of an ACL that opens something can be taken away unnoticed',
  () => {
    const ofData = blueprint.subnets.filter(({ tier }) => tier === 'data').map(({ cidr }): unknown => cidr)
    const opening = graph
      .ofType(
        'AWS::EC2::SecurityGroupIngress',
        'AWS::EC2::SecurityGroupEgress',
        'AWS::EC2::Route',
        'AWS::EC2::NetworkAclEntry',
      )
      .filter(({ properties }) => properties.RuleAction !== 'deny')
      // Members of a managed store may find each other across zones; no flow of the estate says so.
      .filter(({ type, properties }) => type !== 'AWS::EC2::NetworkAclEntry' || !ofData.includes(properties.CidrBlock))
    const unnoticed = opening.filter((rule) => {
      const without = new TemplateGraph(graph.resources.filter((resource) => resource !== rule))
      return proveReachability(without, blueprint).closed.length === 0
    })
    expect(unnoticed.map(({ logicalId }) => logicalId)).toEqual([])
    expect(opening.length).toBeGreaterThan(70)
  },
  patienceMs,
)

/** Names of places where a change passes every rule and nobody said why it may. */
function unnoticedOf(
  resources: readonly Resource[],
  placesIn: (value: unknown) => readonly Path[],
  change: (value: unknown) => unknown,
  allowed: Readonly<Record<string, string>>,
): string[] {
  const unnoticed = new Set<string>()
  for (const resource of resources) {
    for (const path of placesIn(resource.properties)) {
      const name = nameOf(resource, path)
      if (allowed[name] || unnoticed.has(name)) continue
      if (!isNoticed(graph.with(changedAt(resource, path, change)))) unnoticed.add(name)
    }
  }
  return [...unnoticed].toSorted()
}

function isNoticed(changed: TemplateGraph): boolean {
  return rules.some(({ violations }) => violations(changed, blueprint).length > 0)
}

function isStore({ type, serves }: Resource): boolean {
  const isOfStore = serves.some((id) => id.startsWith('store.'))
  return isOfStore && /^AWS::(RDS|DocDB|ElastiCache|AmazonMQ|OpenSearchService|S3|EFS|FSx|Logs)::/.test(type)
}
