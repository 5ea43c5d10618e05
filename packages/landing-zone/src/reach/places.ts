/** Everything in the templates that has an address, with what decides who reaches it. Read from the template alone. */
import { at } from '../check/rule.ts'
import type { Properties, Resource, TemplateGraph } from '../template/template-graph.ts'

export interface Place {
  /** Which party of the flows it is: `service:wallet`, `store:ledger`, `endpoints` … */
  readonly party: string
  /** The resource that has the address. */
  readonly id: string
  readonly securityGroups: readonly string[]
  readonly subnets: readonly string[]
  /** Whether the internet could send to it if routes and groups let it. */
  readonly isPublic: boolean
}

type Find = (properties: Properties, resource: Resource, graph: TemplateGraph) => Omit<Place, 'id'>

export function placesOf(graph: TemplateGraph): Place[] {
  return graph.resources.flatMap((resource) => {
    const find = finders[resource.type]
    if (!find) return []
    const place = { ...find(resource.properties, resource, graph), id: resource.id }
    return place.securityGroups.length > 0 ? [place] : []
  })
}

const ids = (graph: TemplateGraph, value: unknown) => graph.named(value).map(({ id }) => id)

function nameServed({ serves }: Resource, kind: 'service' | 'store' | 'balancer'): string {
  const served = serves.find((id) => id.startsWith('service.') || id.startsWith('store.'))
  return `${kind}:${served?.split('.')[1] ?? 'unknown'}`
}

/** A store that stands in a group of subnets, as most do. */
const inSubnetGroup =
  (groups: string, subnetGroup: string): Find =>
  (properties, resource, graph) => ({
    party: resource.serves.includes('migration') ? 'migration' : nameServed(resource, 'store'),
    securityGroups: ids(graph, properties[groups]),
    subnets: graph.named(properties[subnetGroup]).flatMap((group) => ids(graph, group.properties.SubnetIds)),
    isPublic: properties.PubliclyAccessible === true,
  })

const inSubnets =
  (groups: string, subnets: string): Find =>
  (properties, resource, graph) => ({
    party: nameServed(resource, 'store'),
    securityGroups: ids(graph, at(properties, groups)),
    subnets: ids(graph, at(properties, subnets)),
    isPublic: properties.PubliclyAccessible === true,
  })

const finders: Readonly<Record<string, Find>> = {
  'AWS::ElasticLoadBalancingV2::LoadBalancer': (properties, resource, graph) => ({
    party: nameServed(resource, 'balancer'),
    securityGroups: ids(graph, properties.SecurityGroups),
    subnets: ids(graph, properties.Subnets),
    isPublic: properties.Scheme === 'internet-facing',
  }),
  'AWS::AutoScaling::AutoScalingGroup': (properties, resource, graph) => {
    const template = graph.named(at(properties, 'LaunchTemplate.LaunchTemplateId'))[0]
    return {
      party: nameServed(resource, 'service'),
      securityGroups: ids(graph, at(template?.properties, 'LaunchTemplateData.SecurityGroupIds')),
      subnets: ids(graph, properties.VPCZoneIdentifier),
      isPublic: at(template?.properties, 'LaunchTemplateData.NetworkInterfaces.0.AssociatePublicIpAddress') === true,
    }
  },
  'AWS::EC2::Instance': (properties, resource, graph) => {
    const template = graph.named(at(properties, 'LaunchTemplate.LaunchTemplateId'))[0]
    const ofTemplate = ids(graph, at(template?.properties, 'LaunchTemplateData.SecurityGroupIds'))
    return {
      party: nameServed(resource, resource.serves.some((id) => id.startsWith('service.')) ? 'service' : 'store'),
      securityGroups: [...ids(graph, properties.SecurityGroupIds), ...ofTemplate],
      subnets: ids(graph, properties.SubnetId),
      isPublic: false,
    }
  },
  'AWS::EC2::VPCEndpoint': (properties, _, graph) => ({
    party: 'endpoints',
    securityGroups: ids(graph, properties.SecurityGroupIds),
    subnets: ids(graph, properties.SubnetIds),
    isPublic: false,
  }),
  'AWS::EC2::ClientVpnEndpoint': (properties, resource, graph) => ({
    party: 'people',
    securityGroups: ids(graph, properties.SecurityGroupIds),
    subnets: graph
      .usersOf(resource)
      .filter(({ type }) => type === 'AWS::EC2::ClientVpnTargetNetworkAssociation')
      .flatMap(({ properties: { SubnetId } }) => ids(graph, SubnetId)),
    isPublic: false,
  }),
  'AWS::ECS::Service': (properties, _, graph) => ({
    party: 'migration',
    securityGroups: ids(graph, at(properties, 'NetworkConfiguration.AwsvpcConfiguration.SecurityGroups')),
    subnets: ids(graph, at(properties, 'NetworkConfiguration.AwsvpcConfiguration.Subnets')),
    isPublic: at(properties, 'NetworkConfiguration.AwsvpcConfiguration.AssignPublicIp') === 'ENABLED',
  }),
  'AWS::RDS::DBInstance': inSubnetGroup('VPCSecurityGroups', 'DBSubnetGroupName'),
  'AWS::RDS::DBCluster': inSubnetGroup('VpcSecurityGroupIds', 'DBSubnetGroupName'),
  'AWS::DocDB::DBCluster': inSubnetGroup('VpcSecurityGroupIds', 'DBSubnetGroupName'),
  'AWS::ElastiCache::ReplicationGroup': inSubnetGroup('SecurityGroupIds', 'CacheSubnetGroupName'),
  'AWS::AmazonMQ::Broker': inSubnets('SecurityGroups', 'SubnetIds'),
  'AWS::OpenSearchService::Domain': inSubnets('VPCOptions.SecurityGroupIds', 'VPCOptions.SubnetIds'),
  'AWS::EFS::MountTarget': inSubnets('SecurityGroups', 'SubnetId'),
  'AWS::FSx::FileSystem': inSubnets('SecurityGroupIds', 'SubnetIds'),
}
