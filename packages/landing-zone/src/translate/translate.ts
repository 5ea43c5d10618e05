/**
 * Turns what old balancers, firewalls and proxies say into services of the estate, from which listeners, rules, target
 * groups, groups and filters are made as always. Pure but for what the files' own `read` reads.
 */
import type { Finding } from '@replatform/core/finding'
import type { LandingService, LandingZone } from '@replatform/core/landing-zone-estate'
import { AddressBook } from './address-book.ts'
import type { ConfigFile } from './config-text.ts'
import { applyFirewall } from './firewall.ts'
import { readHaproxy } from './haproxy.ts'
import { readIptables } from './iptables.ts'
import { readNftables } from './nftables.ts'
import { readNginx } from './nginx.ts'
import { type Outcome, Outcomes } from './outcome.ts'
import { applyProxy } from './proxy.ts'
import { Services } from './services.ts'
import { readSquid } from './squid.ts'

export const formats = ['haproxy', 'nginx', 'iptables', 'nftables', 'squid'] as const
export type Format = (typeof formats)[number]

export interface OldConfig extends ConfigFile {
  readonly format: Format
  /** The service or store whose machine the file is of: for rules about "this machine". */
  readonly machine?: string
}

export interface Translation {
  /** All services: those of the estate with what is new, and those that only old configurations know. */
  readonly services: Readonly<Record<string, LandingService>>
  readonly findings: readonly Finding[]
  readonly outcomes: readonly Outcome[]
}

/** Throws `landing-zone.config-invalid` at the first error of syntax; nothing of any file is used then. */
export function translate(
  configs: readonly OldConfig[],
  known: Pick<LandingZone, 'services' | 'stores' | 'onPremises'>,
): Translation {
  const outcomes = new Outcomes()
  const of = (format: Format) => configs.filter((config) => config.format === format)
  const fronts = [
    ...of('haproxy').map((config) => readHaproxy(config, outcomes)),
    ...of('nginx').map((config) => readNginx(config, outcomes)),
  ]
  const rules = [
    ...of('iptables').map((config) => ({ config, rules: readIptables(config, outcomes) })),
    ...of('nftables').map((config) => ({ config, rules: readNftables(config, outcomes) })),
  ]
  const hosts = of('squid').flatMap((config) => readSquid(config, outcomes))

  const services = new Services(known, outcomes)
  for (const { pools, fronts: found } of fronts) services.add(pools, found)
  const book = new AddressBook({ ...known, services: services.all() })
  for (const { config, rules: found } of rules) applyFirewall({ services, book, outcomes, rules: found, config })
  applyProxy({ services, book, outcomes, hosts })
  return { services: services.finished(rules.length > 0), findings: outcomes.findings(), outcomes: outcomes.all }
}
