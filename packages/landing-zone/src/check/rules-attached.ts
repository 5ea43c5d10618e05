import type { TemplateGraph } from '../template/template-graph.ts'
import { at, type Rule } from './rule.ts'

/**
 * What a store is joined to, by type: a setting that stands in a group is worth nothing where the store does not name the
 * group, and what is left out falls back to a default of AWS's.
 */
const attachments: Readonly<Record<string, readonly string[]>> = {
  'AWS::RDS::DBInstance': [
    'DBParameterGroupName',
    'DBSubnetGroupName',
    'VPCSecurityGroups.0',
    'Port',
    'PerformanceInsightsKMSKeyId',
  ],
  'AWS::RDS::DBCluster': [
    'DBClusterParameterGroupName',
    'DBSubnetGroupName',
    'VpcSecurityGroupIds.0',
    'Port',
    'PerformanceInsightsKmsKeyId',
  ],
  'AWS::DocDB::DBCluster': ['DBClusterParameterGroupName', 'DBSubnetGroupName', 'VpcSecurityGroupIds.0', 'Port'],
  'AWS::ElastiCache::ReplicationGroup': [
    'CacheParameterGroupName',
    'CacheSubnetGroupName',
    'SecurityGroupIds.0',
    'UserGroupIds.0',
    'Port',
    'LogDeliveryConfigurations.0.DestinationDetails.CloudWatchLogsDetails.LogGroup',
    'LogDeliveryConfigurations.1.DestinationDetails.CloudWatchLogsDetails.LogGroup',
  ],
  'AWS::ElastiCache::User': ['AuthenticationMode.Passwords.0'],
  'AWS::ElastiCache::UserGroup': ['UserIds.0'],
  'AWS::AmazonMQ::Broker': ['Configuration.Id', 'Configuration.Revision', 'SecurityGroups.0', 'SubnetIds.0'],
  'AWS::AmazonMQ::Configuration': ['Data'],
  'AWS::OpenSearchService::Domain': [
    'VPCOptions.SecurityGroupIds.0',
    'VPCOptions.SubnetIds.0',
    'AdvancedSecurityOptions.MasterUserOptions.MasterUserName',
    'AdvancedSecurityOptions.MasterUserOptions.MasterUserPassword',
    'AccessPolicies',
    ...['AUDIT_LOGS', 'ES_APPLICATION_LOGS', 'INDEX_SLOW_LOGS', 'SEARCH_SLOW_LOGS'].map(
      (log) => `LogPublishingOptions.${log}.CloudWatchLogsLogGroupArn`,
    ),
  ],
  'AWS::Logs::ResourcePolicy': ['PolicyDocument'],
  'AWS::EFS::MountTarget': ['SecurityGroups.0', 'SubnetId'],
  'AWS::FSx::FileSystem': [
    'SecurityGroupIds.0',
    'SubnetIds.0',
    'WindowsConfiguration.SelfManagedActiveDirectoryConfiguration.DomainName',
    'WindowsConfiguration.SelfManagedActiveDirectoryConfiguration.DnsIps.0',
    'WindowsConfiguration.SelfManagedActiveDirectoryConfiguration.DomainJoinServiceAccountSecret',
  ],
}

export const attachmentRules: readonly Rule[] = [
  {
    id: 'store-attached',
    pci: ['1.3.1', '2.2.2', '7.2.5'],
    wants:
      'A store names its parameters, subnets, security groups, port, users and logs: none falls back to a default.',
    violations: (graph) =>
      ofStores(graph, ...Object.keys(attachments)).flatMap(({ id, type, properties }) =>
        (attachments[type] ?? [])
          .filter((path) => at(properties, path) === undefined)
          .map((path) => ({ at: id, what: `${path} is not set` })),
      ),
  },
  {
    id: 'relational-private',
    pci: ['1.4.4'],
    wants: 'A relational store says that it has no public address.',
    violations: (graph) =>
      graph
        .ofType('AWS::RDS::DBInstance')
        .filter(({ properties }) => properties.PubliclyAccessible !== false)
        .map(({ id }) => ({ at: id, what: 'leaves it to its subnets' })),
  },
]

function ofStores(graph: TemplateGraph, ...types: readonly string[]) {
  return graph.ofType(...types).filter(({ serves }) => serves.some((id) => id.startsWith('store.')))
}
