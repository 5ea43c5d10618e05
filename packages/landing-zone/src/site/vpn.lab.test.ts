import { pollUntil } from '@replatform/testkit/poll-until'
import { type LabTunnel, VpnLab, vpnLabImpossible } from '@replatform/testkit/vpn-lab'
import { beforeAll, describe, expect, test } from 'vitest'
import { walletBlueprint } from '../test-fixtures/wallet-estate.ts'
import { renderFrr } from './frr.ts'
import { mirrored, renderSwanctl } from './swanctl.ts'
import { type SiteRouter, siteRouters, type TunnelEnd } from './tunnels.ts'

/**
 * Goal: the configuration that is generated for the old site brings both tunnels up, and routes move when one is lost.
 * Method: real strongSwan and FRR in network namespaces; a stand-in of AWS is the mirror of the same description.
 */
const patienceMs = 240_000
const host = { site: '10.0.0.1', aws: '10.20.0.1' } as const

let impossible: string | undefined
beforeAll(async () => {
  impossible = await vpnLabImpossible()
}, patienceMs)

describe.each([
  ['with BFD between ends of our own', { bfd: true }],
  ['by the hold time of BGP', { keepAliveSeconds: 3, holdSeconds: 9 }],
])('two tunnels, %s', (_, frr) => {
  test(
    'come up with the agreed suite; traffic moves to the other and back',
    async (context) => {
      if (impossible) context.skip(impossible)
      const router = withLabAddresses(siteRouters(walletBlueprint())[0] as SiteRouter)
      await using lab = await VpnLab.start({
        host,
        tunnels: [labTunnel(router.tunnels[0] as TunnelEnd), labTunnel(router.tunnels[1] as TunnelEnd)],
        frr: { site: renderFrr(router, frr), aws: renderFrr(mirroredRouter(router), frr) },
      })
      const wait = { withinMs: 60_000, everyMs: 200 }
      await pollUntil('the first tunnel carries the route', async () => (await lab.route()) === 1, wait)
      await pollUntil('a packet comes back', () => lab.reaches(), wait)
      expect(await lab.agreedOn(1)).toMatch(/AES_GCM_16-256\/PRF_HMAC_SHA2_384\/ECP_384/)

      await lab.cut(1)
      await pollUntil('the second tunnel carries the route', async () => (await lab.route()) === 2, wait)
      await pollUntil('a packet comes back over the second', () => lab.reaches(), wait)

      await lab.mend(1)
      await pollUntil('the first tunnel carries the route again', async () => (await lab.route()) === 1, wait)
      await pollUntil('a packet comes back over the first', () => lab.reaches(), wait)
    },
    patienceMs,
  )
})

/** Outside addresses of the documentation range (RFC 5737), which AWS would tell after deployment. */
function withLabAddresses(router: SiteRouter): SiteRouter {
  const tunnels = router.tunnels.map((tunnel, index) => ({
    ...tunnel,
    siteAddress: `192.0.2.${index * 4 + 1}`,
    awsAddress: `192.0.2.${index * 4 + 2}`,
  }))
  return { ...router, tunnels }
}

function labTunnel(tunnel: TunnelEnd): LabTunnel {
  const options = { interfaceIds: false }
  return {
    swanctl: {
      site: renderSwanctl(tunnel, options),
      aws: renderSwanctl(mirrored(tunnel), { ...options, starts: false }),
    },
    outside: { site: tunnel.siteAddress, aws: tunnel.awsAddress },
    inside: { site: tunnel.insideSite, aws: tunnel.insideAws },
  }
}

function mirroredRouter(router: SiteRouter): SiteRouter {
  const { asn, amazonAsn, announces, accepts, tunnels } = router
  return {
    name: 'aws',
    asn: amazonAsn,
    amazonAsn: asn,
    announces: accepts,
    accepts: announces,
    tunnels: tunnels.map(mirrored),
  }
}
