import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch'
import * as logs from 'aws-cdk-lib/aws-logs'
import type { Construct } from 'constructs'

export interface LogAlarmOptions {
  readonly logGroupName: string
  /** CloudWatch Logs user guide, "Filter pattern syntax". */
  readonly pattern: string
  readonly metric: { readonly namespace: string; readonly name: string }
  readonly description: string
  /** Lines within five minutes: as many raise it, or only more. */
  readonly when: { readonly atLeast: number } | { readonly above: number }
  readonly incidentsArn: string
  /** Of the two resources. */
  readonly ids: { readonly filter: string; readonly alarm: string }
}

/** Counts lines of a log that the pattern finds, and raises an alarm. */
export function alarmOnLog(scope: Construct, options: LogAlarmOptions): void {
  const { logGroupName, pattern, metric, description, when, incidentsArn, ids } = options
  const { namespace, name: metricName } = metric
  new logs.CfnMetricFilter(scope, ids.filter, {
    logGroupName,
    filterPattern: pattern,
    metricTransformations: [{ metricNamespace: namespace, metricName, metricValue: '1', defaultValue: 0 }],
  })
  new cloudwatch.CfnAlarm(scope, ids.alarm, {
    alarmDescription: description,
    namespace,
    metricName,
    statistic: 'Sum',
    period: 300,
    evaluationPeriods: 1,
    ...('atLeast' in when
      ? { threshold: when.atLeast, comparisonOperator: 'GreaterThanOrEqualToThreshold' }
      : { threshold: when.above, comparisonOperator: 'GreaterThanThreshold' }),
    treatMissingData: 'notBreaching',
    alarmActions: [incidentsArn],
  })
}
