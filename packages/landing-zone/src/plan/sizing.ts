import type { LandingStore } from '@replatform/core/landing-zone-estate'
import { type InstanceClass, instanceClasses, type SizedKind } from './instance-classes.ts'

/** What Compute Optimizer adds to the 99.5th percentile by default, and asks to observe at least. */
const headroom = 1.2
export const firmAfterDays = 14

/** Amazon MQ developer guide, "Upgrading an Amazon MQ broker instance type": recommended for testing only. */
const forTestsOnly = 'mq.m7g.medium'

export interface Sizing {
  readonly instanceClass: string
  /** One sentence: what it was sized by. */
  readonly basis: string
  /** Whether the figures rest on enough days to be relied on. */
  readonly isFirm: boolean
  /** Whether no class is large enough; then `instanceClass` is the largest. */
  readonly isTooLarge: boolean
}

/** The least class that holds the observed 99.5th percentile with headroom. `small`: outside production, the least. */
export function sizeOf(kind: SizedKind, { observed }: LandingStore, small: boolean): Sizing {
  const every: readonly InstanceClass[] = instanceClasses[kind]
  const least = every[0] as InstanceClass
  const classes = kind === 'amazon-mq-rabbitmq' ? every.filter(({ name }) => name !== forTestsOnly) : every
  const { cpuCores, memoryGiB, days } = observed
  const fits = ({ cores, memoryGiB: memory }: InstanceClass) => {
    return cores >= cpuCores * headroom && memory >= memoryGiB * headroom
  }
  const found = small ? least : classes.find(fits)
  const chosen = found ?? (classes.at(-1) as InstanceClass)
  const seen = `99.5th percentile of ${days} days: ${cpuCores} cores, ${memoryGiB} GiB, and 20 % more`
  return {
    instanceClass: chosen.name,
    basis: small ? 'the least there is: no production load' : seen,
    isFirm: small || days >= firmAfterDays,
    isTooLarge: found === undefined,
  }
}

/** GiB of disk: twice what is used, at least 20, in tens. */
export function diskGiB({ observed }: LandingStore): number {
  return Math.max(20, Math.ceil(((observed.storageGiB ?? 10) * 2) / 10) * 10)
}
