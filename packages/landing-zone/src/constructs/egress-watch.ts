import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch'
import * as resolver from 'aws-cdk-lib/aws-route53resolver'
import { Construct } from 'constructs'
import { alarmOnLog } from './log-alarm.ts'
import type { Logs } from './logs.ts'
import type { Network } from './network.ts'
import { serving } from './serving.ts'

/** Names that somebody asked for and that no partner has, in five minutes: one is a slip of a configuration. */
const refusedNamesMost = 5

/**
 * Whether something leaves that should not: every name that is asked for is kept, names beyond the list of partners raise
 * an alarm, and so do more bytes through a NAT gateway than it has learned to expect at that hour.
 */
export class EgressWatch extends Construct {
  constructor(
    scope: Construct,
    { network, natGatewayIds }: { readonly network: Network; readonly natGatewayIds: readonly string[] },
    kept: Logs,
    incidentsArn: string,
  ) {
    super(scope, 'EgressWatch')
    serving(this, 'security.threats')
    this.#names(network, kept, incidentsArn)
    for (const [index, id] of natGatewayIds.entries()) this.#amount(index, id, incidentsArn)
  }

  #names({ vpc }: Network, kept: Logs, incidentsArn: string): void {
    const config = new resolver.CfnResolverQueryLoggingConfig(this, 'Queries', { destinationArn: kept.arn('queries') })
    new resolver.CfnResolverQueryLoggingConfigAssociation(this, 'QueriesOfVpc', {
      resolverQueryLogConfigId: config.attrId,
      resourceId: vpc.ref,
    })
    alarmOnLog(this, {
      logGroupName: kept.name('queries'),
      pattern: '{ $.firewall_rule_action = "BLOCK" }',
      metric: { namespace: 'Egress', name: 'NamesRefused' },
      description: 'Names beyond the list of partners are asked for',
      when: { above: refusedNamesMost },
      incidentsArn,
      ids: { filter: 'NamesRefusedFilter', alarm: 'NamesRefused' },
    })
  }

  /** Four deviations wide: payouts and nightly reports are not new to it after two weeks. */
  #amount(index: number, natGatewayId: string, incidentsArn: string): void {
    new cloudwatch.CfnAlarm(this, `Unusual${index + 1}`, {
      alarmDescription: 'More leaves for the internet than is usual at this hour',
      metrics: [
        {
          id: 'sent',
          returnData: true,
          metricStat: {
            metric: {
              namespace: 'AWS/NATGateway',
              metricName: 'BytesOutToDestination',
              dimensions: [{ name: 'NatGatewayId', value: natGatewayId }],
            },
            period: 300,
            stat: 'Sum',
          },
        },
        { id: 'usual', returnData: true, expression: 'ANOMALY_DETECTION_BAND(sent, 4)' },
      ],
      thresholdMetricId: 'usual',
      comparisonOperator: 'GreaterThanUpperThreshold',
      evaluationPeriods: 3,
      datapointsToAlarm: 3,
      treatMissingData: 'notBreaching',
      alarmActions: [incidentsArn],
    })
  }
}
