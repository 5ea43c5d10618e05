/** What rules of packet filters have in common, whichever program wrote them down. */
import type { Cidr } from '../plan/cidr.ts'
import type { Place } from './config-text.ts'
import type { Left } from './outcome.ts'

/** One rule that lets new connections through or refuses them. Empty lists mean everybody, respectively every port. */
export interface FirewallRule extends Place {
  readonly chain: 'input' | 'forward' | 'output'
  readonly isAllowed: boolean
  readonly from: readonly Cidr[]
  readonly to: readonly Cidr[]
  readonly ports: readonly number[]
  readonly protocol: 'tcp' | 'udp' | 'icmp' | 'any'
}

export const otherTable: Left = {
  id: 'firewall-table',
  title: 'Addresses are translated or packets are marked: only tables and chains that filter are carried.',
  remedy: 'NAT gateways and balancers take their place; look for ports that are forwarded to somewhere.',
}
export const openByDefault: Left = {
  id: 'firewall-open',
  title: 'The old firewall lets in what no rule names; the templates do not.',
  remedy: 'Look for flows that nobody wrote down before the switch: what the templates refuse stands in the flow logs.',
}
export const openOutside: Left = {
  id: 'firewall-open-out',
  title: 'Machines may call everybody here; in the templates only the partners that they name.',
  remedy: 'Read the old flows (conntrack, logs of the proxy) and write the partners as egress.',
}
export const unknownMatch: Left = {
  id: 'firewall-match',
  title: 'A rule tests something that a security group cannot: it is left out.',
  remedy: 'Decide whether the flow is wanted, and write it as from, calls, stores or egress.',
}
