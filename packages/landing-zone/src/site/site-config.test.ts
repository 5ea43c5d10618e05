import type { OnPremises } from '@replatform/core/landing-zone-estate'
import { describe, expect, test } from 'vitest'
import { walletBlueprint } from '../test-fixtures/wallet-estate.ts'
import { renderFrr } from './frr.ts'
import { lineChecklist } from './line-checklist.ts'
import { renderSwanctl } from './swanctl.ts'
import { siteRouters } from './tunnels.ts'

const [router] = siteRouters(walletBlueprint())

test('each router of the old site has two tunnels, none of whose addresses appears twice', () => {
  const routers = siteRouters(walletBlueprint())
  const ends = routers.flatMap(({ tunnels }) => tunnels)
  expect(routers.map(({ tunnels }) => tunnels.length)).toEqual([2, 2])
  expect(new Set(ends.flatMap(({ insideAws, insideSite }) => [insideAws, insideSite])).size).toBe(8)
})

test('strongSwan offers one suite, and holds no key', () => {
  const text = renderSwanctl(router?.tunnels[0] as never)
  expect(text).toContain('proposals = aes256gcm16-prfsha384-ecp384')
  expect(text).toContain('dpd_action = restart')
  expect(text).not.toMatch(/secret/)
})

test('FRR tells and believes only what was agreed, and prefers the first tunnel both ways', () => {
  const text = renderFrr(router as never)
  expect(text).toContain('ip prefix-list site seq 10 permit 10.0.0.0/16')
  expect(text).toContain('ip prefix-list aws seq 10 permit 10.20.0.0/16')
  expect(text).toContain(' timers bgp 10 30')
  expect(text.match(/set local-preference (\d+)/g)).toEqual(['set local-preference 900', 'set local-preference 800'])
  expect(text).not.toMatch(/^bfd$/m)
})

describe('the checklist of a line', () => {
  const withLine = (directConnect: NonNullable<OnPremises['directConnect']>) =>
    lineChecklist(
      walletBlueprint({
        change: (zone) => ({ ...zone, onPremises: { ...(zone.onPremises as OnPremises), directConnect } }),
      }),
    )
  const line = {
    connection: 'dedicated',
    bandwidth: '10Gbps',
    location: 'EqSG2',
    vlan: 100,
    reason: 'Full loads fit into a night.',
  } as const

  test('of a dedicated one has the letter of authorisation', () =>
    expect(withLine({ ...line, macsec: true })).toMatch(/LOA-CFA[\s\S]*MACsec key pair/))
  test('of a hosted one has not', () => {
    const text = withLine({ ...line, connection: 'hosted', bandwidth: '500Mbps' })
    expect(text).toContain('Accept the hosted connection')
    expect(text).not.toContain('LOA-CFA')
  })
  test('is none where no line was asked for', () => expect(lineChecklist(walletBlueprint())).toBeNull())
})
