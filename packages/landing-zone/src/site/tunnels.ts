/** Both ends of every tunnel, from the same description as the AWS side: addresses inside, suites, and who speaks BGP. */
import { amazonAsn, tunnelInside } from '../constructs/site-link.ts'
import type { Blueprint } from '../plan/blueprint.ts'
import { formatAddress, parseCidr } from '../plan/cidr.ts'

export interface TunnelEnd {
  /** `router1-tunnel2`. */
  readonly name: string
  /** The router of the old site that it ends at. */
  readonly siteAddress: string
  /** Known after deployment only, from the description of the VPN connection; a place to fill in until then. */
  readonly awsAddress: string
  readonly insideSite: string
  readonly insideAws: string
  /** Lower is preferred: one tunnel carries the traffic, the other waits. */
  readonly preference: number
}

export interface SiteRouter {
  readonly name: string
  readonly asn: number
  readonly amazonAsn: number
  /** Told to AWS, and nothing else. */
  readonly announces: readonly string[]
  /** Believed from AWS, and nothing else. */
  readonly accepts: readonly string[]
  readonly tunnels: readonly TunnelEnd[]
}

/** One for each router of the old site; none where there is no old site. */
export function siteRouters({ onPremises, settings }: Blueprint): SiteRouter[] {
  if (!onPremises) return []
  return onPremises.vpn.peers.map((siteAddress, index) => ({
    name: `router${index + 1}`,
    asn: onPremises.asn,
    amazonAsn,
    announces: onPremises.networks,
    accepts: [settings.network],
    tunnels: [1, 2].map((tunnel) => tunnelEnd(siteAddress, index, tunnel)),
  }))
}

/** AWS takes the first address of the four, the customer the second (Site-to-Site VPN user guide, "Tunnel options"). */
function tunnelEnd(siteAddress: string, router: number, tunnel: number): TunnelEnd {
  const { base = 0 } = parseCidr(tunnelInside(router, tunnel)) ?? {}
  return {
    name: `router${router + 1}-tunnel${tunnel}`,
    siteAddress,
    awsAddress: `<outside address of tunnel ${tunnel}>`,
    insideAws: formatAddress(base + 1),
    insideSite: formatAddress(base + 2),
    preference: router * 200 + tunnel * 100,
  }
}
