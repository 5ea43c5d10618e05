/** What of a resource AWS bills by the hour or the month, whatever it does. What depends on use is named, not guessed. */
import { at } from '../check/rule.ts'
import type { Properties, Resource, TemplateGraph } from '../template/template-graph.ts'

export interface BilledItem {
  /** The key of its price: `rds:postgres:db.m7g.large:standby`. */
  readonly key: string
  readonly quantity: number
}

export interface Billing {
  readonly items: readonly BilledItem[]
  /** What is billed by use on top: requests, gigabytes, events. */
  readonly byUse?: string
}

type Bill = (properties: Properties, graph: TemplateGraph) => Billing

const items = (...list: readonly (readonly [string, number])[]): Billing => ({
  items: list.map(([key, quantity]) => ({ key, quantity })),
})
const byUse =
  (what: string): Bill =>
  () => ({ items: [], byUse: what })

/** Undefined where nothing is known about the type; `[]` where it costs nothing by itself. */
export function billingOf({ type, properties }: Resource, graph: TemplateGraph): Billing | undefined {
  const bill = bills[type]
  if (bill) return bill(properties, graph)
  return freeTypes.some((free) => type.startsWith(free)) ? items() : undefined
}

const count = (value: unknown) => (Array.isArray(value) ? value.length : 0)

const bills: Readonly<Record<string, Bill>> = {
  'AWS::EC2::NatGateway': () => ({ ...items(['nat-gateway', 1]), byUse: 'gigabytes through it' }),
  'AWS::EC2::EIP': () => items(['public-ipv4', 1]),
  'AWS::EC2::VPCEndpoint': ({ VpcEndpointType, SubnetIds }) =>
    VpcEndpointType === 'Interface' ? { ...items(['vpc-endpoint', count(SubnetIds)]), byUse: 'gigabytes' } : items(),
  'AWS::EC2::VPNConnection': () => ({ ...items(['vpn-connection', 1]), byUse: 'gigabytes out' }),
  'AWS::EC2::ClientVpnTargetNetworkAssociation': () => ({
    ...items(['client-vpn-association', 1]),
    byUse: 'hours of connections',
  }),
  'AWS::EC2::TransitGateway': byUse('attachments'),
  'AWS::EC2::TransitGatewayAttachment': () => ({ ...items(['transit-gateway-attachment', 1]), byUse: 'gigabytes' }),
  'AWS::DirectConnect::Connection': ({ Bandwidth }) => items([`direct-connect:${Bandwidth}`, 1]),
  'AWS::NetworkFirewall::Firewall': ({ SubnetMappings }) => ({
    ...items(['network-firewall', count(SubnetMappings)]),
    byUse: 'gigabytes',
  }),
  'AWS::ElasticLoadBalancingV2::LoadBalancer': ({ Type }) => ({
    ...items([`load-balancer:${Type}`, 1]),
    byUse: 'capacity units',
  }),
  'AWS::WAFv2::WebACL': ({ Rules }) => ({ ...items(['waf-acl', 1], ['waf-rule', count(Rules)]), byUse: 'requests' }),
  'AWS::Route53::HostedZone': () => ({ ...items(['hosted-zone', 1]), byUse: 'queries' }),
  'AWS::KMS::Key': () => ({ ...items(['kms-key', 1]), byUse: 'calls' }),
  'AWS::SecretsManager::Secret': () => ({ ...items(['secret', 1]), byUse: 'calls' }),
  'AWS::CloudWatch::Dashboard': () => items(['dashboard', 1]),
  'AWS::CloudWatch::Alarm': () => items(['alarm', 1]),
  'AWS::RDS::DBInstance': ({ Engine, DBInstanceClass, MultiAZ, AllocatedStorage, StorageType }) => {
    const form = MultiAZ === true ? 'standby' : 'single'
    return items(
      [`rds:${Engine}:${DBInstanceClass}:${form}`, 1],
      [`rds-storage:${StorageType}:${form}`, Number(AllocatedStorage)],
    )
  },
  'AWS::RDS::DBCluster': ({ Engine, DBClusterInstanceClass, AllocatedStorage, StorageType }) =>
    items(
      [`rds:${Engine}:${DBClusterInstanceClass}:cluster`, 1],
      [`rds-storage:${StorageType}:cluster`, Number(AllocatedStorage)],
    ),
  'AWS::DocDB::DBInstance': ({ DBInstanceClass }) => items([`documentdb:${DBInstanceClass}`, 1]),
  'AWS::DocDB::DBCluster': byUse('gigabytes stored, reads and writes'),
  'AWS::ElastiCache::ReplicationGroup': ({ Engine, CacheNodeType, NumNodeGroups, ReplicasPerNodeGroup }) =>
    items([`elasticache:${Engine}:${CacheNodeType}`, Number(NumNodeGroups) * (1 + Number(ReplicasPerNodeGroup))]),
  'AWS::AmazonMQ::Broker': ({ EngineType, HostInstanceType, DeploymentMode }) => ({
    ...items([`amazon-mq:${EngineType}:${HostInstanceType}:${DeploymentMode}`, 1]),
    byUse: 'gigabytes stored',
  }),
  'AWS::OpenSearchService::Domain': ({ ClusterConfig, EBSOptions }) => {
    const nodes = Number(at(ClusterConfig, 'InstanceCount'))
    const masters = Number(at(ClusterConfig, 'DedicatedMasterCount') ?? 0)
    return items(
      [`opensearch:${at(ClusterConfig, 'InstanceType')}`, nodes],
      ...(masters ? ([[`opensearch:${at(ClusterConfig, 'DedicatedMasterType')}`, masters]] as const) : []),
      ['opensearch-storage:gp3', nodes * Number(at(EBSOptions, 'VolumeSize'))],
    )
  },
  'AWS::AutoScaling::AutoScalingGroup': ({ MinSize, LaunchTemplate }, graph) => {
    const template = graph.named(at(LaunchTemplate, 'LaunchTemplateId'))[0]
    return {
      ...items([`ec2:${at(template?.properties, 'LaunchTemplateData.InstanceType')}`, Number(MinSize)]),
      byUse: 'machines beyond the least',
    }
  },
  'AWS::EC2::Instance': ({ LaunchTemplate }, graph) => {
    const template = graph.named(at(LaunchTemplate, 'LaunchTemplateId'))[0]
    const disk = Number(at(template?.properties, 'LaunchTemplateData.BlockDeviceMappings.0.Ebs.VolumeSize') ?? 8)
    return items([`ec2:${at(template?.properties, 'LaunchTemplateData.InstanceType')}`, 1], ['ebs:gp3', disk])
  },
  'AWS::ECS::Service': ({ TaskDefinition, DesiredCount }, graph) => {
    const task = graph.named(TaskDefinition)[0]?.properties
    const tasks = Number(DesiredCount)
    return items(
      ['fargate-cpu', (tasks * Number(task?.Cpu)) / 1_024],
      ['fargate-memory-gib', (tasks * Number(task?.Memory)) / 1_024],
    )
  },
  'AWS::FSx::FileSystem': ({ StorageCapacity }) => items(['fsx-windows-storage', Number(StorageCapacity)]),
  'AWS::S3::Bucket': byUse('gigabytes stored, requests'),
  'AWS::EFS::FileSystem': byUse('gigabytes stored and moved'),
  'AWS::Logs::LogGroup': byUse('gigabytes taken in'),
  'AWS::EC2::FlowLog': byUse('gigabytes taken in'),
  'AWS::CloudTrail::Trail': byUse('events beyond the first trail'),
  'AWS::GuardDuty::Detector': byUse('events looked at'),
  'AWS::SecurityHub::Hub': byUse('checks'),
  'AWS::SecurityHub::Standard': byUse('checks'),
  'AWS::Config::ConfigurationRecorder': byUse('changes recorded'),
  'AWS::Config::ConfigRule': byUse('evaluations'),
  'AWS::InspectorV2::CisScanConfiguration': byUse('scans'),
  'AWS::Backup::BackupVault': byUse('gigabytes kept'),
  'AWS::Route53Resolver::FirewallRuleGroupAssociation': byUse('queries'),
  'AWS::Route53Resolver::FirewallDomainList': () => items(['dns-firewall-domain', 1]),
  'AWS::SNS::Topic': byUse('messages'),
  'AWS::Scheduler::Schedule': byUse('calls beyond fourteen million'),
  'AWS::FIS::ExperimentTemplate': byUse('minutes of experiments'),
  'AWS::Synthetics::Canary': byUse('runs'),
}

/** Source: the pricing pages; these types have no price of their own. */
const freeTypes = [
  'AWS::IAM::',
  'AWS::EC2::VPC',
  'AWS::EC2::Subnet',
  'AWS::EC2::Route',
  'AWS::EC2::SecurityGroup',
  'AWS::EC2::InternetGateway',
  'AWS::EC2::VPNGateway',
  'AWS::EC2::CustomerGateway',
  'AWS::EC2::TransitGatewayRouteTable',
  'AWS::EC2::LaunchTemplate',
  'AWS::EC2::PrefixList',
  'AWS::EC2::ClientVpnEndpoint',
  'AWS::EC2::ClientVpnAuthorizationRule',
  'AWS::EFS::MountTarget',
  'AWS::ElasticLoadBalancingV2::Listener',
  'AWS::ElasticLoadBalancingV2::TargetGroup',
  'AWS::WAFv2::IPSet',
  'AWS::WAFv2::WebACLAssociation',
  'AWS::WAFv2::LoggingConfiguration',
  'AWS::RDS::DBSubnetGroup',
  'AWS::RDS::DBParameterGroup',
  'AWS::RDS::OptionGroup',
  'AWS::RDS::DBClusterParameterGroup',
  'AWS::DocDB::DBSubnetGroup',
  'AWS::DocDB::DBClusterParameterGroup',
  'AWS::ElastiCache::SubnetGroup',
  'AWS::ElastiCache::ParameterGroup',
  'AWS::ElastiCache::User',
  'AWS::AmazonMQ::Configuration',
  'AWS::AutoScaling::ScalingPolicy',
  'AWS::AutoScaling::ScheduledAction',
  'AWS::CertificateManager::Certificate',
  'AWS::Route53::RecordSet',
  'AWS::Route53Resolver::FirewallRuleGroup',
  'AWS::Route53Resolver::ResolverQueryLoggingConfig',
  'AWS::S3::BucketPolicy',
  'AWS::SNS::Subscription',
  'AWS::SNS::TopicPolicy',
  'AWS::Events::Rule',
  'AWS::Budgets::Budget',
  'AWS::CE::',
  'AWS::Config::DeliveryChannel',
  'AWS::AccessAnalyzer::Analyzer',
  'AWS::Logs::MetricFilter',
  'AWS::Logs::ResourcePolicy',
  'AWS::Backup::BackupPlan',
  'AWS::Backup::BackupSelection',
  'AWS::SSM::',
  'AWS::ECS::Cluster',
  'AWS::ECS::TaskDefinition',
  'AWS::DirectConnect::DirectConnectGateway',
  'AWS::DirectConnect::TransitVirtualInterface',
  'AWS::NetworkFirewall::FirewallPolicy',
  'AWS::NetworkFirewall::RuleGroup',
  'AWS::NetworkFirewall::LoggingConfiguration',
  'AWS::EC2::NetworkAcl',
  'AWS::EC2::SubnetNetworkAclAssociation',
]
