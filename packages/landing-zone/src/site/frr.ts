import type { SiteRouter, TunnelEnd } from './tunnels.ts'

export interface FrrOptions {
  /** Seconds between signs of life, and until a neighbour counts as gone. AWS takes the lower of both sides. */
  readonly keepAliveSeconds: number
  readonly holdSeconds: number
  /** AWS has it for Direct Connect and not for Site-to-Site VPN: only between ends of one's own. */
  readonly bfd: boolean
}

const standing: FrrOptions = { keepAliveSeconds: 10, holdSeconds: 30, bfd: false }

/** FRR's side of the sessions: says what is here, believes what was agreed, prefers the first tunnel both ways. */
export function renderFrr(router: SiteRouter, options: Partial<FrrOptions> = {}): string {
  const { keepAliveSeconds, holdSeconds, bfd } = { ...standing, ...options }
  const { asn, amazonAsn, announces, accepts, tunnels, name } = router
  return [
    `hostname ${name}`,
    ...prefixList('site', announces),
    ...prefixList('aws', accepts),
    ...tunnels.flatMap(routeMaps),
    `router bgp ${asn}`,
    ` bgp router-id ${tunnels[0]?.insideSite ?? '0.0.0.0'}`,
    ' no bgp network import-check',
    ` timers bgp ${keepAliveSeconds} ${holdSeconds}`,
    ...tunnels.flatMap(({ insideAws }) => [
      ` neighbor ${insideAws} remote-as ${amazonAsn}`,
      ` neighbor ${insideAws} timers connect 5`,
      ...(bfd ? [` neighbor ${insideAws} bfd`] : []),
    ]),
    ' address-family ipv4 unicast',
    ...announces.map((range) => `  network ${range}`),
    ...tunnels.flatMap((tunnel) => [
      `  neighbor ${tunnel.insideAws} route-map ${mapOf(tunnel)}-out out`,
      `  neighbor ${tunnel.insideAws} route-map ${mapOf(tunnel)}-in in`,
    ]),
    ' exit-address-family',
    'exit',
    ...(bfd
      ? [
          'bfd',
          ...tunnels.flatMap(({ insideAws }) => [
            ` peer ${insideAws}`,
            '  detect-multiplier 3',
            '  receive-interval 300',
            '  transmit-interval 300',
            ' exit',
          ]),
          'exit',
        ]
      : []),
    '',
  ].join('\n')
}

function prefixList(name: string, ranges: readonly string[]): string[] {
  return ranges.map((range, index) => `ip prefix-list ${name} seq ${(index + 1) * 10} permit ${range}`)
}

/** Out: the metric tells AWS which tunnel to answer by. In: the local preference tells ourselves. */
function routeMaps(tunnel: TunnelEnd): string[] {
  return [
    `route-map ${mapOf(tunnel)}-out permit 10`,
    ' match ip address prefix-list site',
    ` set metric ${tunnel.preference}`,
    'exit',
    `route-map ${mapOf(tunnel)}-in permit 10`,
    ' match ip address prefix-list aws',
    ` set local-preference ${1_000 - tunnel.preference}`,
    'exit',
  ]
}

function mapOf({ name }: TunnelEnd): string {
  return name
}
