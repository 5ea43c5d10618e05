/** What a picture shows, read from templates: one item for each thing in a subnet, and one for what stands beside. */
import { placesOf } from '../reach/places.ts'
import type { Resource, TemplateGraph } from '../template/template-graph.ts'
import type { Glyph } from './glyphs.ts'
import { palette } from './svg.ts'

export interface Item {
  readonly name: string
  /** What AWS calls it, in short. */
  readonly kind: string
  readonly glyph: Glyph
  readonly color: string
  readonly change?: 'comes' | 'goes' | undefined
}

const kinds: Readonly<Record<string, readonly [kind: string, glyph: Glyph, color: string]>> = {
  'AWS::EC2::NatGateway': ['NAT gateway', 'wayOut', palette.network],
  'AWS::NetworkFirewall::Firewall': ['Network Firewall', 'wall', palette.security],
  'AWS::ElasticLoadBalancingV2::LoadBalancer': ['balancer', 'balancer', palette.network],
  'AWS::AutoScaling::AutoScalingGroup': ['Auto Scaling', 'scaling', palette.compute],
  'AWS::EC2::Instance': ['EC2', 'machine', palette.compute],
  'AWS::EC2::VPCEndpoint': ['PrivateLink', 'plug', palette.network],
  'AWS::EC2::ClientVpnEndpoint': ['Client VPN', 'lock', palette.network],
  'AWS::ECS::Service': ['Fargate', 'container', palette.compute],
  'AWS::RDS::DBInstance': ['RDS', 'database', palette.database],
  'AWS::RDS::DBCluster': ['RDS cluster', 'database', palette.database],
  'AWS::DocDB::DBCluster': ['DocumentDB', 'document', palette.database],
  'AWS::ElastiCache::ReplicationGroup': ['ElastiCache', 'bolt', palette.database],
  'AWS::AmazonMQ::Broker': ['Amazon MQ', 'queue', palette.management],
  'AWS::OpenSearchService::Domain': ['OpenSearch', 'search', palette.network],
  'AWS::EFS::MountTarget': ['EFS', 'folder', palette.storage],
  'AWS::FSx::FileSystem': ['FSx', 'folder', palette.storage],
}

export function itemsIn(graph: TemplateGraph, subnet: Resource): Item[] {
  const gateways = graph
    .ofType('AWS::EC2::NatGateway')
    .filter(({ properties }) => graph.named(properties.SubnetId).includes(subnet))
    .map(() => itemOf('way out', 'AWS::EC2::NatGateway'))
  const firewalls = graph
    .ofType('AWS::NetworkFirewall::Firewall')
    .filter(({ properties }) => graph.named(properties.SubnetMappings).includes(subnet))
    .map(() => itemOf('allow-list', 'AWS::NetworkFirewall::Firewall'))
  const placed = placesOf(graph)
    .filter(({ subnets }) => subnets.includes(subnet.id))
    .map(({ party, id }) => placedItem(party.split(':').at(-1) ?? party, graph.find(id)))
  return distinct([...gateways, ...firewalls, ...placed])
}

/** What belongs to no subnet, in the order data, security, management. */
export function sharedItems(graph: TemplateGraph): Item[] {
  const buckets = graph.ofType('AWS::S3::Bucket').filter(({ serves }) => serves.some((id) => id.startsWith('store.')))
  const some = (type: string, name: string, kind: string, glyph: Glyph, color: string): Item[] =>
    graph.ofType(type).length > 0 ? [{ name, kind, glyph, color }] : []
  const isLocked = graph.ofType('AWS::Backup::BackupVault').some(({ properties }) => properties.LockConfiguration)
  return [
    ...buckets.map(({ serves }) => ({
      name: serves[0]?.split('.')[1] ?? 'objects',
      kind: 'S3',
      glyph: 'bucket' as const,
      color: palette.storage,
    })),
    ...some('AWS::Backup::BackupVault', isLocked ? 'locked vault' : 'vault', 'Backup', 'vault', palette.storage),
    ...some('AWS::WAFv2::WebACL', 'web filter', 'WAF', 'wall', palette.security),
    ...some('AWS::KMS::Key', 'own keys', 'KMS', 'key', palette.security),
    ...some('AWS::GuardDuty::Detector', 'threats', 'GuardDuty', 'eye', palette.security),
    ...some('AWS::SecurityHub::Hub', 'controls', 'Security Hub', 'shield', palette.security),
    ...some('AWS::CloudTrail::Trail', 'audit trail', 'CloudTrail', 'trail', palette.management),
    ...some('AWS::Config::ConfigurationRecorder', 'drift', 'Config', 'gear', palette.management),
    ...some('AWS::SSM::MaintenanceWindow', 'patches', 'Systems Manager', 'list', palette.management),
    ...some('AWS::SNS::Topic', 'incidents', 'SNS', 'bell', palette.management),
    ...some('AWS::CloudWatch::Dashboard', 'dashboards', 'CloudWatch', 'chart', palette.management),
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

/** A store whose service may put it into any of its subnets says whether another zone holds a second one. */
function placedItem(name: string, resource: Resource | undefined): Item {
  const item = itemOf(name, resource?.type ?? '')
  const hasSecond = resource && (resource.properties.MultiAZ ?? resource.properties.MultiAZEnabled)
  if (typeof hasSecond !== 'boolean') return item
  return { ...item, kind: hasSecond ? `${item.kind}, standby` : `${item.kind}, single` }
}

function itemOf(name: string, type: string): Item {
  const [kind, glyph, color] = kinds[type] ?? [type.split('::').at(-1) ?? type, 'gear', palette.network]
  return { name, kind, glyph, color }
}

function distinct(items: readonly Item[]): Item[] {
  return [...new Map(items.map((item) => [keyOf(item), item])).values()]
}

function keyOf({ name, kind }: Item): string {
  return `${kind} ${name}`
}
