import type * as s3 from 'aws-cdk-lib/aws-s3'
import type { Blueprint, PlannedStore } from '../plan/blueprint.ts'

/** What every kind of store is given by the stack that it stands in. */
export interface StoreContext {
  readonly blueprint: Blueprint
  readonly subnetIds: readonly string[]
  readonly securityGroupId: string
  readonly vpcId: string
  readonly keyArn: string
  readonly secretsKeyArn: string
  readonly logsKeyArn: string
  readonly incidentsArn: string
  readonly servicesLogName: string
  readonly accessLogs: s3.CfnBucket
}

/** Where its metrics are found, and which of them wake somebody. */
export interface WatchedStore {
  readonly kind: 'store'
  readonly name: string
  readonly namespace: string
  readonly dimensions: readonly { readonly name: string; readonly value: string }[]
  readonly metrics: readonly WatchedMetric[]
}

export interface WatchedMetric {
  readonly name: string
  readonly title: string
  readonly statistic: 'Average' | 'Maximum' | 'Minimum' | 'Sum'
  /** No alarm where it is left out. */
  readonly alarm?: { readonly above: number } | { readonly below: number }
}

/** How a store is named on AWS: unique in the account, at most 50 characters, and the same after every synthesis. */
export function storeId({ estate, environment }: Blueprint, { name }: PlannedStore): string {
  return `${estate}-${environment}-${name}`.slice(0, 50).replace(/-+$/, '')
}

/** The change log of a source must reach back as far as a move can go back. */
export function rollbackHours({ rollbackDays = 3 }: PlannedStore): number {
  return rollbackDays * 24
}
