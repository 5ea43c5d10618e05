/** Logs that a store hands out: groups made before it, so that they are encrypted and kept, and who was refused in them. */
import { RemovalPolicy } from 'aws-cdk-lib'
import * as logs from 'aws-cdk-lib/aws-logs'
import { Construct } from 'constructs'
import type { PlannedStore } from '../plan/blueprint.ts'
import { alarmOnLog } from './log-alarm.ts'
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
  alarmOnLog(scope, {
    logGroupName: log.group.ref,
    pattern: log.pattern,
    metric: { namespace: 'StoreLogins', name: storeId(blueprint, store) },
    description: `${store.name}: logins are refused`,
    when: { above: refusedLoginsMost },
    incidentsArn,
    ids: { filter: 'Refused', alarm: 'Alarm' },
  })
}
