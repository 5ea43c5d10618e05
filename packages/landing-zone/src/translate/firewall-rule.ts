/** What rules of packet filters have in common, whichever program wrote them down. */
import type { Cidr } from '../plan/cidr.ts'
import type { Place } from './config-text.ts'

/** One rule that lets new connections through or refuses them. Empty lists mean everybody, respectively every port. */
export interface FirewallRule extends Place {
  readonly chain: 'input' | 'forward' | 'output'
  readonly isAllowed: boolean
  readonly from: readonly Cidr[]
  readonly to: readonly Cidr[]
  readonly ports: readonly number[]
  readonly protocol: 'tcp' | 'udp' | 'icmp' | 'any'
}
