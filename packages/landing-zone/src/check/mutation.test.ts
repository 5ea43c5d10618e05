import { beforeAll, expect, test } from 'vitest'
import type { Blueprint } from '../plan/blueprint.ts'
import { proveReachability } from '../reach/prove.ts'
import { type Resource, TemplateGraph } from '../template/template-graph.ts'
import { graphOf } from '../test-fixtures/graph-of.ts'
import { patienceMs, walletBlueprint } from '../test-fixtures/wallet-estate.ts'
import { checkTemplates, violated } from './check.ts'

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
  'AWS::DocDB::DBInstance AutoMinorVersionUpgrade': 'DocumentDB upgrades by the cluster',
  'AWS::DocDB::DBInstance EnablePerformanceInsights': 'a view for people',
  'AWS::EC2::ClientVpnAuthorizationRule AuthorizeAllGroups': 'the identity provider keeps the group',
  'AWS::EC2::ClientVpnEndpoint SplitTunnel': 'what people do on the internet is not the estate’s',
  'AWS::EC2::LaunchTemplate LaunchTemplateData.BlockDeviceMappings.#.Ebs.DeleteOnTermination':
    'machines keep no data; stores keep theirs',
  'AWS::EC2::LaunchTemplate LaunchTemplateData.EbsOptimized': 'speed',
  'AWS::EC2::Instance EbsOptimized': 'speed',
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

const blueprint = walletBlueprint({ phase: 'transition' })
let graph: TemplateGraph
beforeAll(() => {
  graph = graphOf(blueprint)
}, patienceMs)

test(
  'no switch can be turned over unnoticed',
  () => {
    const unnoticed = new Set<string>()
    for (const resource of graph.resources) {
      for (const path of switchesIn(resource.properties)) {
        const name = `${resource.type} ${path.map((step) => (/^\d+$/.test(step) ? '#' : step)).join('.')}`
        if (harmless[name] || unnoticed.has(name)) continue
        const turned = {
          ...resource,
          properties: withValue(resource.properties, path, (value) => !value) as Resource['properties'],
        }
        if (!isNoticed(graph.with(turned), blueprint)) unnoticed.add(name)
      }
    }
    expect([...unnoticed].toSorted()).toEqual([])
  },
  patienceMs,
)

test('what is called harmless exists', () => {
  const names = new Set(
    graph.resources.flatMap(({ type, properties }) =>
      switchesIn(properties).map(
        (path) => `${type} ${path.map((step) => (/^\d+$/.test(step) ? '#' : step)).join('.')}`,
      ),
    ),
  )
  expect(Object.keys(harmless).filter((name) => !names.has(name))).toEqual([])
})

test(
  'no rule of a security group can be taken away unnoticed',
  () => {
    const rules = graph.ofType('AWS::EC2::SecurityGroupIngress', 'AWS::EC2::SecurityGroupEgress')
    const unnoticed = rules.filter((rule) => {
      const without = new TemplateGraph(graph.resources.filter((resource) => resource !== rule))
      return proveReachability(without, blueprint).closed.length === 0
    })
    expect(unnoticed.map(({ logicalId }) => logicalId)).toEqual([])
    expect(rules.length).toBeGreaterThan(50)
  },
  patienceMs,
)

function isNoticed(changed: TemplateGraph, blueprint: Blueprint): boolean {
  return violated(checkTemplates(changed, blueprint)).length > 0
}

function switchesIn(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value === 'boolean') return [path]
  if (value === null || typeof value !== 'object') return []
  // Conditions of policies are held whole by the rules about them.
  return Object.entries(value).flatMap(([key, item]) =>
    /Policy|Statement|Condition/.test(key) ? [] : switchesIn(item, [...path, key]),
  )
}

function withValue(value: unknown, path: readonly string[], change: (value: unknown) => unknown): unknown {
  const [step, ...rest] = path
  if (step === undefined) return change(value)
  const copy = Array.isArray(value) ? [...value] : { ...(value as object) }
  Object.assign(copy, { [step]: withValue((value as Readonly<Record<string, unknown>>)[step], rest, change) })
  return copy
}
