/**
 * What the templates cannot show: each claim that needs an account, the command that would prove it, and what its answer
 * must hold. Written for a person with rights in that account; nothing here calls AWS.
 */
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
    ...blueprint.stores.flatMap((store) => ofStore(store, blueprint)),
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
  const name = `${blueprint.estate}-${blueprint.environment}-${store.name}`
  const id = (what: string) => `store.${store.name}.${what}`
  switch (store.form) {
    case 'rds':
      return [
        {
          id: id('available-twice'),
          claim: `${store.name} has a standby in another zone.`,
          command: `aws rds describe-db-instances --db-instance-identifier ${name} --query 'DBInstances[0].[MultiAZ,SecondaryAvailabilityZone]' --output text`,
          expects: 'True and the name of a zone',
          pattern: '^True[[:space:]]+[a-z]',
        },
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
        {
          id: id('failover'),
          claim: `${store.name} answers again within two minutes when its primary is lost, and no acknowledged payment is gone.`,
          command: `aws rds reboot-db-instance --db-instance-identifier ${name} --force-failover`,
          expects: 'the load of the estate goes on; its judge says clean',
          disturbs: true,
        },
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
    default:
      return []
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
      ]
    : []
  return [
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
