/**
 * What the templates cannot show: each claim that needs an account, the command that would prove it, and what its answer
 * must hold. Written for a person with rights in that account; nothing here calls AWS.
 */
import { storeId } from '../constructs/store-context.ts'
import type { Blueprint, PlannedStore } from '../plan/blueprint.ts'

export interface Claim {
  /** Stable: `store.ledger.failover`. */
  readonly id: string
  readonly claim: string
  readonly command: string
  /** What the answer must hold; compared by a person, or by `grep -q` where `pattern` is given. */
  readonly expects: string
  /** An extended regular expression that the answer must match. */
  readonly pattern?: string
  /** Changes something, so it is written as a comment that somebody must take out. */
  readonly disturbs?: true
}

export function claimsOf(blueprint: Blueprint): Claim[] {
  return [
    ...deployment(blueprint),
    ...network(blueprint),
    ...blueprint.stores.flatMap((store) => [...ofStore(store, blueprint), ...lossOf(store, blueprint)]),
    ...operations(blueprint),
  ]
}

const stackOf = ({ estate, environment }: Blueprint, stack: string) => `${estate}-${environment}-${stack}`

function deployment(blueprint: Blueprint): Claim[] {
  const stacks = ['foundation', 'network', 'stores', 'services', 'operations']
  return stacks.flatMap((stack) => [
    {
      id: `deployed.${stack}`,
      claim: `The stack ${stack} stands as it was described.`,
      command: `aws cloudformation describe-stacks --stack-name ${stackOf(blueprint, stack)} --query 'Stacks[0].StackStatus' --output text`,
      expects: 'CREATE_COMPLETE or UPDATE_COMPLETE',
      pattern: '^(CREATE|UPDATE)_COMPLETE$',
    },
    {
      id: `drift.${stack}`,
      claim: `Nobody changed the stack ${stack} by hand.`,
      command: `id=$(aws cloudformation detect-stack-drift --stack-name ${stackOf(blueprint, stack)} --query StackDriftDetectionId --output text); sleep 60; aws cloudformation describe-stack-drift-detection-status --stack-drift-detection-id "$id" --query StackDriftStatus --output text`,
      expects: 'IN_SYNC',
      pattern: '^IN_SYNC$',
    },
  ])
}

function network({ onPremises, services, settings }: Blueprint): Claim[] {
  const tunnels: Claim[] = onPremises
    ? [
        {
          id: 'vpn.tunnels-up',
          claim: 'Every tunnel is up and routes by BGP.',
          command:
            "aws ec2 describe-vpn-connections --query 'VpnConnections[].VgwTelemetry[].[Status,AcceptedRouteCount]' --output text",
          expects: `${onPremises.vpn.peers.length * 2} lines, each UP with a count above zero`,
          pattern: 'UP[[:space:]]+[1-9]',
        },
        {
          id: 'vpn.failover',
          claim: 'Traffic moves to the other tunnel within the hold time of BGP, 30 s.',
          command:
            'aws ec2 replace-vpn-tunnel --vpn-connection-id <id> --vpn-tunnel-outside-ip-address <address> --apply-pending-maintenance',
          expects: 'a ping from the old site misses fewer than 35 answers at one a second',
          disturbs: true,
        },
      ]
    : []
  const open = services.filter(({ from }) => from.includes('internet'))
  return [
    ...tunnels,
    ...open.map(({ name, host }) => ({
      id: `service.${name}.tls`,
      claim: `${name} refuses TLS 1.1 and shows a certificate for its name.`,
      command: `! openssl s_client -connect ${host ?? `${name}.${settings.domain}`}:443 -tls1_1 </dev/null && openssl s_client -connect ${host}:443 -servername ${host} -verify_return_error </dev/null`,
      expects: 'Verify return code: 0 (ok)',
      pattern: 'Verify return code: 0',
    })),
  ]
}

function ofStore(store: PlannedStore, blueprint: Blueprint): Claim[] {
  const name = storeId(blueprint, store)
  const id = (what: string) => `store.${store.name}.${what}`
  switch (store.form) {
    case 'rds':
      return [
        ...(store.engine === 'postgresql'
          ? []
          : [
              {
                id: id('binlog-kept'),
                claim: 'The binary log is kept for as long as a move can go back: RDS has no parameter for it.',
                command: `mysql -h <endpoint> -P ${store.port} -e "CALL mysql.rds_set_configuration('binlog retention hours', ${(store.rollbackDays ?? 3) * 24}); CALL mysql.rds_show_configuration"`,
                expects: `binlog retention hours ${(store.rollbackDays ?? 3) * 24}`,
                disturbs: true as const,
              },
            ]),
      ]
    case 'documentdb':
      return [
        {
          id: id('change-streams'),
          claim: 'Change streams are on: a command of the database, not a parameter.',
          command: `mongosh "mongodb://<endpoint>:${store.port}/?tls=true" --eval 'db.adminCommand({modifyChangeStreams: 1, database: "", collection: "", enable: true})'`,
          expects: '{ ok: 1 }',
          disturbs: true,
        },
      ]
    case 'elasticache':
      return [
        {
          id: id('refuses-clear-text'),
          claim: `${store.name} answers over TLS only.`,
          command: `valkey-cli -h <endpoint> -p ${store.port} PING; valkey-cli --tls -h <endpoint> -p ${store.port} --user ${store.name} PING`,
          expects: 'no answer to the first, PONG or a question for the password to the second',
        },
      ]
    case 'opensearch':
      return [
        {
          id: id('audit-on'),
          claim: 'Audit logs are on: the template opens their log, a call to the domain fills it.',
          command: `curl -sS -u estate_master -X PUT https://<endpoint>/_plugins/_security/api/audit/config -H 'content-type: application/json' -d '{"enabled":true}'`,
          expects: 'status OK; then a refused login raises the alarm of the store',
          disturbs: true,
        },
      ]
    case 'amazon-mq-activemq':
    case 'amazon-mq-rabbitmq':
      return [loginsOfBroker(store, name)]
    case 's3':
      return [
        {
          id: id('refuses-clear-text'),
          claim: `${store.name} answers over TLS only.`,
          command: `curl -s -o /dev/null -w '%{http_code}' http://<bucket>.s3.${blueprint.region}.amazonaws.com/none`,
          expects: '403',
        },
      ]
    case 'efs':
      return [
        {
          id: id('refuses-clear-text'),
          claim: `${store.name} is mounted over TLS only.`,
          command:
            'mount -t nfs4 <file system>.efs.<region>.amazonaws.com:/ /mnt; mount -t efs -o tls <file system> /mnt',
          expects: 'the first is refused, the second is not',
          disturbs: true,
        },
      ]
    case 'fsx':
      return [
        {
          id: id('joined'),
          claim: `${store.name} has joined its directory, and clients speak SMB encrypted.`,
          command: 'Get-SmbConnection | Select-Object ServerName, Dialect, Encrypted',
          expects:
            'Encrypted: True; enforce it with Set-FSxSmbServerConfiguration -EncryptData $True -RejectUnencryptedAccess $True',
        },
      ]
    default:
      return []
  }
}

/** Its log has no name before the broker has an id, so no template can watch it. */
function loginsOfBroker({ name, form }: PlannedStore, broker: string): Claim {
  const words = form === 'amazon-mq-activemq' ? 'password is invalid' : 'login refused'
  return {
    id: `store.${name}.logins-watched`,
    claim: `Logins that ${name} refuses raise an alarm.`,
    command: `id=$(aws mq list-brokers --query "BrokerSummaries[?BrokerName=='${broker}'].BrokerId" --output text); aws logs put-metric-filter --log-group-name /aws/amazonmq/broker/$id/general --filter-name logins --filter-pattern '"${words}"' --metric-transformations metricName=${broker},metricNamespace=StoreLogins,metricValue=1; aws cloudwatch put-metric-alarm --alarm-name ${broker}-logins --namespace StoreLogins --metric-name ${broker} --statistic Sum --period 300 --evaluation-periods 1 --threshold 5 --comparison-operator GreaterThanThreshold --alarm-actions <topic>`,
    expects: 'six refused logins within five minutes reach the incident topic',
    disturbs: true,
  }
}

/** What production is said to survive, store by store: how it is seen, and how it is tried. */
function lossOf(store: PlannedStore, blueprint: Blueprint): Claim[] {
  const loss = losses[store.form]
  if (!loss || !blueprint.isProduction) return []
  const name = storeId(blueprint, store)
  const { seen, expects, pattern, tried } = loss(name, store)
  return [
    {
      id: `store.${store.name}.available-twice`,
      claim: `${store.name} stands in more than one zone.`,
      command: seen,
      expects,
      pattern,
    },
    {
      id: `store.${store.name}.failover`,
      claim: `${store.name} answers again within two minutes when its primary is lost, and no acknowledged payment is gone.`,
      command: tried,
      expects: 'the load of the estate goes on; its judge says clean',
      disturbs: true,
    },
  ]
}

type Loss = (name: string, store: PlannedStore) => Record<'seen' | 'expects' | 'pattern' | 'tried', string>

const losses: Partial<Readonly<Record<PlannedStore['form'], Loss>>> = {
  'rds': (name, { availability }) =>
    availability === 'cluster'
      ? {
          seen: `aws rds describe-db-clusters --db-cluster-identifier ${name} --query 'length(DBClusters[0].DBClusterMembers)' --output text`,
          expects: '3',
          pattern: '^3$',
          tried: `aws rds failover-db-cluster --db-cluster-identifier ${name}`,
        }
      : {
          seen: `aws rds describe-db-instances --db-instance-identifier ${name} --query 'DBInstances[0].[MultiAZ,SecondaryAvailabilityZone]' --output text`,
          expects: 'True and the name of a zone',
          pattern: '^True[[:space:]]+[a-z]',
          tried: `aws rds reboot-db-instance --db-instance-identifier ${name} --force-failover`,
        },
  'documentdb': (name) => ({
    seen: `aws docdb describe-db-clusters --db-cluster-identifier ${name} --query 'length(DBClusters[0].DBClusterMembers)' --output text`,
    expects: 'an instance in every zone',
    pattern: '^[2-9]$',
    tried: `aws docdb failover-db-cluster --db-cluster-identifier ${name}`,
  }),
  'elasticache': (name) => ({
    seen: `aws elasticache describe-replication-groups --replication-group-id ${name} --query 'ReplicationGroups[0].[MultiAZ,AutomaticFailover]' --output text`,
    expects: 'enabled and enabled',
    pattern: '^enabled[[:space:]]+enabled$',
    tried: `aws elasticache test-failover --replication-group-id ${name} --node-group-id 0001`,
  }),
  'amazon-mq-activemq': broker,
  'amazon-mq-rabbitmq': broker,
  'opensearch': (name) => ({
    seen: `aws opensearch describe-domain --domain-name ${name} --query 'DomainStatus.ClusterConfig.[ZoneAwarenessEnabled,DedicatedMasterCount]' --output text`,
    expects: 'True and 3',
    pattern: '^True[[:space:]]+3$',
    tried: `aws opensearch start-domain-maintenance --domain-name ${name} --action REBOOT_NODE --node-id <node>`,
  }),
}

function broker(name: string) {
  return {
    seen: `aws mq describe-broker --broker-id $(aws mq list-brokers --query "BrokerSummaries[?BrokerName=='${name}'].BrokerId" --output text) --query DeploymentMode --output text`,
    expects: 'ACTIVE_STANDBY_MULTI_AZ or CLUSTER_MULTI_AZ',
    pattern: 'MULTI_AZ$',
    tried: `aws mq reboot-broker --broker-id <id of ${name}>`,
  }
}

function operations({ contact, isProduction }: Blueprint): Claim[] {
  const experiments: Claim[] = isProduction
    ? [
        {
          id: 'resilience.zone-lost',
          claim: 'The loss of a zone stops no payment.',
          command: 'aws fis start-experiment --experiment-template-id <id of zone-lost>',
          expects: 'errors below 1 % after 60 s; the judge of the estate says clean',
          disturbs: true,
        },
        {
          id: 'resilience.primary-lost',
          claim: 'The loss of the primaries of relational stores loses no payment.',
          command: 'aws fis start-experiment --experiment-template-id <id of primary-lost>',
          expects: 'answers again within 120 s; the judge of the estate says clean',
          disturbs: true,
        },
      ]
    : []
  return [
    {
      id: 'backup.restored',
      claim: 'A copy in the vault can be had back.',
      command:
        'aws backup start-restore-job --recovery-point-arn <newest> --iam-role-arn <role of Backups> --metadata <a new name>',
      expects: 'COMPLETED, and the rows of the day before in the restored store',
      disturbs: true,
    },
    {
      id: 'egress.refused',
      claim: 'A name beyond the list of partners has no answer.',
      command: 'nslookup not-a-partner.example # on a machine, by Session Manager',
      expects: 'NXDOMAIN; six of them within five minutes reach the incident topic',
    },
    {
      id: 'incidents.reach-somebody',
      claim: `An alarm reaches ${contact}.`,
      command: 'aws cloudwatch set-alarm-state --alarm-name <any> --state-value ALARM --state-reason "acceptance test"',
      expects: `${contact} says that it came`,
      disturbs: true,
    },
    {
      id: 'security.controls',
      claim: 'Security Hub finds no failed control of severity high or critical.',
      command: `aws securityhub get-findings --filters '{"ComplianceStatus":[{"Value":"FAILED","Comparison":"EQUALS"}],"SeverityLabel":[{"Value":"HIGH","Comparison":"EQUALS"},{"Value":"CRITICAL","Comparison":"EQUALS"}],"RecordState":[{"Value":"ACTIVE","Comparison":"EQUALS"}]}' --query 'length(Findings)' --output text`,
      expects: '0',
      pattern: '^0$',
    },
    ...experiments,
  ]
}
