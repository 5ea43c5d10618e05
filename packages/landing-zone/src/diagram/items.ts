/** What a picture shows, read from templates: one item for each thing in a subnet, and one for what stands beside. */
import { placesOf } from '../reach/places.ts'
import type { Resource, TemplateGraph } from '../template/template-graph.ts'

export interface Item {
  readonly name: string
  /** What AWS calls it, in short. */
  readonly kind: string
  readonly color: string
  readonly change?: 'comes' | 'goes' | undefined
}

const colors = {
  compute: '#ED7100',
  database: '#C925D1',
  network: '#8C4FFF',
  security: '#DD344C',
  management: '#E7157B',
  storage: '#7AA116',
} as const

const kinds: Readonly<Record<string, readonly [kind: string, color: string]>> = {
  'AWS::EC2::NatGateway': ['NAT', colors.network],
  'AWS::ElasticLoadBalancingV2::LoadBalancer': ['balancer', colors.network],
  'AWS::AutoScaling::AutoScalingGroup': ['auto scaling', colors.compute],
  'AWS::EC2::Instance': ['EC2', colors.compute],
  'AWS::EC2::VPCEndpoint': ['PrivateLink', colors.network],
  'AWS::EC2::ClientVpnEndpoint': ['client VPN', colors.network],
  'AWS::ECS::Service': ['Fargate', colors.compute],
  'AWS::RDS::DBInstance': ['RDS', colors.database],
  'AWS::RDS::DBCluster': ['RDS cluster', colors.database],
  'AWS::DocDB::DBCluster': ['DocumentDB', colors.database],
  'AWS::ElastiCache::ReplicationGroup': ['ElastiCache', colors.database],
  'AWS::AmazonMQ::Broker': ['Amazon MQ', colors.management],
  'AWS::OpenSearchService::Domain': ['OpenSearch', colors.network],
  'AWS::EFS::MountTarget': ['EFS', colors.storage],
  'AWS::FSx::FileSystem': ['FSx', colors.storage],
}

export function itemsIn(graph: TemplateGraph, subnet: Resource): Item[] {
  const gateways = graph
    .ofType('AWS::EC2::NatGateway')
    .filter(({ properties }) => graph.named(properties.SubnetId).includes(subnet))
    .map(() => itemOf('way out', 'AWS::EC2::NatGateway'))
  const placed = placesOf(graph)
    .filter(({ subnets }) => subnets.includes(subnet.id))
    .map(({ party, id }) => itemOf(party.split(':').at(-1) ?? party, graph.find(id)?.type ?? ''))
  return distinct([...gateways, ...placed])
}

/** What belongs to no subnet, in the order data, security, management. */
export function sharedItems(graph: TemplateGraph): Item[] {
  const buckets = graph.ofType('AWS::S3::Bucket').filter(({ serves }) => serves.some((id) => id.startsWith('store.')))
  const some = (type: string, name: string, kind: string, color: string): Item[] =>
    graph.ofType(type).length > 0 ? [{ name, kind, color }] : []
  return [
    ...buckets.map(({ serves }) => ({
      name: serves[0]?.split('.')[1] ?? 'objects',
      kind: 'S3',
      color: colors.storage,
    })),
    ...some('AWS::WAFv2::WebACL', 'web filter', 'WAF', colors.security),
    ...some('AWS::KMS::Key', 'keys', 'KMS', colors.security),
    ...some('AWS::GuardDuty::Detector', 'threats', 'GuardDuty', colors.security),
    ...some('AWS::SecurityHub::Hub', 'controls', 'Security Hub', colors.security),
    ...some('AWS::CloudTrail::Trail', 'audit trail', 'CloudTrail', colors.management),
    ...some('AWS::Config::ConfigurationRecorder', 'drift', 'Config', colors.management),
    ...some('AWS::SNS::Topic', 'incidents', 'SNS', colors.management),
    ...some('AWS::CloudWatch::Dashboard', 'dashboards', 'CloudWatch', colors.management),
    ...some('AWS::Backup::BackupVault', 'locked vault', 'Backup', colors.storage),
  ]
}

/** Both pictures in one: what only the first has goes, what only the second has comes. */
export function merged(before: readonly Item[], after: readonly Item[]): Item[] {
  const had = new Set(before.map(keyOf))
  const has = new Set(after.map(keyOf))
  return [
    ...after.map((item) => (had.has(keyOf(item)) ? item : { ...item, change: 'comes' as const })),
    ...before.filter((item) => !has.has(keyOf(item))).map((item) => ({ ...item, change: 'goes' as const })),
  ]
}

function itemOf(name: string, type: string): Item {
  const [kind, color] = kinds[type] ?? [type.split('::').at(-1) ?? type, colors.network]
  return { name, kind, color }
}

function distinct(items: readonly Item[]): Item[] {
  return [...new Map(items.map((item) => [keyOf(item), item])).values()]
}

function keyOf({ name, kind }: Item): string {
  return `${kind} ${name}`
}
