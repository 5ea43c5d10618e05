/** Logs that a store hands out: groups made before it, so that they are encrypted and kept, and who was refused in them. */
import { RemovalPolicy } from 'aws-cdk-lib'
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch'
import * as logs from 'aws-cdk-lib/aws-logs'
import { Construct } from 'constructs'
import type { PlannedStore } from '../plan/blueprint.ts'
import { keptDays } from './logs.ts'
import { pascal } from './network.ts'
import { serving } from './serving.ts'
import { type StoreContext, storeId } from './store-context.ts'

/**
 * One group for each log, under the name that the service writes to. A service that finds none makes its own, in clear
 * and kept for ever: so the store must depend on what this returns.
 */
export function storeLogs(
  root: Construct,
  prefix: string,
  names: readonly string[],
  { logsKeyArn }: StoreContext,
): logs.CfnLogGroup[] {
  return names.map((name) => {
    const group = new logs.CfnLogGroup(root, `${pascal(name)}Log`, {
      logGroupName: `${prefix}/${name}`,
      kmsKeyId: logsKeyArn,
      retentionInDays: keptDays,
    })
    group.applyRemovalPolicy(RemovalPolicy.RETAIN)
    return group
  })
}

/** More than this in five minutes is no slip of one person. */
const refusedLoginsMost = 5

/** An alarm on logins that the store refused: `pattern` finds them in its log (CloudWatch Logs, "Filter patterns"). */
export function watchLogins(
  root: Construct,
  store: PlannedStore,
  { blueprint, incidentsArn }: StoreContext,
  log: { readonly group: logs.CfnLogGroup; readonly pattern: string },
): void {
  const scope = serving(new Construct(root, 'Logins'), 'security.threats')
  const metricNamespace = 'StoreLogins'
  const metricName = storeId(blueprint, store)
  new logs.CfnMetricFilter(scope, 'Refused', {
    logGroupName: log.group.ref,
    filterPattern: log.pattern,
    metricTransformations: [{ metricNamespace, metricName, metricValue: '1', defaultValue: 0 }],
  })
  new cloudwatch.CfnAlarm(scope, 'Alarm', {
    alarmDescription: `${store.name}: logins are refused`,
    namespace: metricNamespace,
    metricName,
    statistic: 'Sum',
    period: 300,
    evaluationPeriods: 1,
    threshold: refusedLoginsMost,
    comparisonOperator: 'GreaterThanThreshold',
    treatMissingData: 'notBreaching',
    alarmActions: [incidentsArn],
  })
}
