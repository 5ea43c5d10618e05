/** In what environments of one description differ, said instead of found out. */
import { type Blueprint, zoneCount } from '../plan/blueprint.ts'

export interface Difference {
  readonly aspect: string
  /** By the name of the environment. */
  readonly values: Readonly<Record<string, string>>
}

/** Aspects in which all are alike are left out, but for what must never be alike. */
export function differencesOf(blueprints: readonly Blueprint[]): Difference[] {
  return aspects
    .map(({ aspect, of }) => ({
      aspect,
      values: Object.fromEntries(blueprints.map((blueprint) => [blueprint.environment, of(blueprint)])),
    }))
    .filter(({ values }) => new Set(Object.values(values)).size > 1)
}

interface Aspect {
  readonly aspect: string
  readonly of: (blueprint: Blueprint) => string
}

const aspects: readonly Aspect[] = [
  { aspect: 'kind', of: ({ settings }) => settings.kind },
  { aspect: 'account', of: ({ settings }) => settings.account },
  { aspect: 'network', of: ({ settings }) => settings.network },
  { aspect: 'domain', of: ({ settings }) => settings.domain },
  { aspect: 'zones', of: ({ settings }) => String(zoneCount(settings)) },
  { aspect: 'ways out (NAT)', of: ({ natZones }) => String(natZones.length) },
  { aspect: 'firewalls', of: ({ firewallZones }) => String(firewallZones.length) },
  {
    aspect: 'private endpoints stand in',
    of: ({ isProduction }) => (isProduction ? 'every zone' : 'one zone'),
  },
  {
    aspect: 'machines, at least',
    of: ({ services }) => services.map(({ name, least }) => `${name} ${least}`).join(', '),
  },
  {
    aspect: 'classes of stores',
    of: ({ stores }) => stores.flatMap(({ name, size }) => (size ? [`${name} ${size.instanceClass}`] : [])).join(', '),
  },
  { aspect: 'stores with a standby', of: ({ isProduction }) => (isProduction ? 'all' : 'none') },
  {
    aspect: 'off-hours',
    of: ({ settings: { offHours } }) =>
      offHours ? `${offHours.stop} to ${offHours.start}, and weekends (${offHours.timeZone})` : 'never',
  },
  {
    aspect: 'data',
    of: ({ settings, isProduction }) => settings.data ?? (isProduction ? 'live' : 'not said; no live card numbers'),
  },
  { aspect: 'backups are kept', of: ({ isProduction }) => (isProduction ? '35 days, locked' : '7 days') },
  { aspect: 'nothing is deleted in passing', of: ({ isProduction }) => (isProduction ? 'yes' : 'no') },
  { aspect: 'experiments', of: ({ isProduction }) => (isProduction ? 'zone lost, primary lost' : 'none') },
  { aspect: 'budget, USD a month', of: ({ settings }) => String(settings.monthlyBudgetUsd) },
]
