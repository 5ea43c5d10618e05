import { beforeAll, describe, expect, test } from 'vitest'
import type { TemplateGraph } from '../template/template-graph.ts'
import { graphOf } from '../test-fixtures/graph-of.ts'
import { patienceMs, walletBlueprint } from '../test-fixtures/wallet-estate.ts'
import { choicesOf } from './choices.ts'
import { explain } from './explain.ts'
import { Prices } from './price-file.ts'
import { shippedPrices } from './shipped-prices.ts'

const blueprint = walletBlueprint()
let graph: TemplateGraph
beforeAll(() => {
  graph = graphOf(blueprint)
}, patienceMs)

const row = { region: 'ap-southeast-1', per: 'hour', asOf: '2026-11-01', source: 'a test' } as const

test('a price is counted for every piece, in whole millionths of a dollar', () => {
  const { requirements, monthlyMicroUsd } = explain(
    graph,
    blueprint,
    new Prices([{ ...row, key: 'nat-gateway', usd: '0.059' }]),
  )
  expect(monthlyMicroUsd).toBe(3 * 730 * 59_000)
  expect(requirements[0]).toMatchObject({ id: 'network.egress', monthlyMicroUsd })
})

test('a price of another region is none', () => {
  const prices = new Prices([{ ...row, key: 'nat-gateway', usd: '0.059', region: 'eu-west-1' }])
  const { monthlyMicroUsd, unpriced } = explain(graph, blueprint, prices)
  expect(monthlyMicroUsd).toBe(0)
  expect(unpriced).toContain('nat-gateway')
})

test('nothing that is built goes without a word on its price', () => {
  const explanation = explain(graph, blueprint, new Prices([]))
  expect(explanation.unpriced.filter((key) => key.startsWith('AWS::'))).toEqual([])
  expect(explanation.requirements.flatMap(({ resources }) => resources)).toHaveLength(graph.resources.length)
})

test('the shipped prices can be read; those that are old, and those that nobody read, are told', () => {
  expect(
    shippedPrices()
      .findings(new Date('2026-11-24'))
      .map(({ id }) => id),
  ).toEqual(['landing-zone.prices-old', 'landing-zone.prices-recalled'])
})

test.each([
  ['not JSON', 'prices'],
  ['a number instead of decimal text', JSON.stringify({ prices: [{ ...row, key: 'a', usd: 0.059 }] })],
  ['a negative price', JSON.stringify({ prices: [{ ...row, key: 'a', usd: '-1' }] })],
  ['no source', JSON.stringify({ prices: [{ ...row, key: 'a', usd: '1', source: '' }] })],
])('%s is refused', (_, text) => {
  expect(() => Prices.parse(text, 'prices.json')).toThrowError(
    expect.objectContaining({ code: 'landing-zone.prices-invalid' }),
  )
})

describe('what may be left out', () => {
  const priced = new Prices([
    { ...row, key: 'vpn-connection', usd: '0.05' },
    { ...row, key: 'transit-gateway-attachment', usd: '0.07' },
    { ...row, key: 'network-firewall', usd: '0.395' },
    { ...row, key: 'dns-firewall-domain', usd: '0.0005', per: 'month' },
    { ...row, key: 'nat-gateway', usd: '0.059' },
    { ...row, key: 'public-ipv4', usd: '0.005' },
    { ...row, key: 'vpc-endpoint', usd: '0.013' },
    { ...row, key: 'zone-traffic-gib', usd: '0.01', per: 'month' },
    { ...row, key: 'ec2:m7i.large', usd: '0.126' },
    { ...row, key: 'ec2:m7i.xlarge', usd: '0.252' },
  ])
  const choice = (what: string, prices = priced, one = blueprint, templates = graph) => {
    const found = choicesOf(one, templates, prices).find((candidate) => candidate.what === what)
    if (!found) throw new Error(`There is no choice of ${what}.`)
    return found
  }

  test('is built where a requirement asks for it, and only there', () => {
    for (const { isBuilt, requirement } of choicesOf(blueprint, graph, priced))
      expect(isBuilt).toBe(requirement !== null)
    expect(choice('Transit gateway')).toMatchObject({ isBuilt: false, requirement: null })
    expect(choice('A third zone')).toMatchObject({ isBuilt: true })
  })

  test('says in figures from where on it pays', () => {
    // Two routers: 2 × 0.05 for tunnels of each VPC, 0.07 for its attachment: (2 × 0.07 + 0.1) / (0.1 − 0.07) = 8.
    expect(choice('Transit gateway').figures).toContain('it pays from 8 VPCs on')
    expect(choice('Transit gateway').monthlyMicroUsd).toBe(3 * 730 * 70_000)
    // 12 × (3 × 0.395 × 730 − 2 × 0.0005)
    expect(choice('Network Firewall').figures).toContain('$10,380.59')
    // 2 × (0.059 + 0.005) × 730 / (2 × 0.01 × 2/3)
    expect(choice('A NAT gateway in every zone').figures).toContain('from 7,008 GiB a month on')
    // Eight interfaces and two of the workers, in two more zones.
    expect(choice('Interface endpoints in every zone').monthlyMicroUsd).toBe(20 * 730 * 13_000)
    // A zone: 0.059 + 0.005 + 10 × 0.013 an hour.
    expect(choice('A third zone').figures).toContain('$141.62 a month')
    expect(choice('A third zone').figures).toContain('$283.24 of machines')
  })

  test('a missing price is told and makes no figure', () => {
    const none = choice('Transit gateway', new Prices([]))
    expect(none).toMatchObject({ monthlyMicroUsd: null, figures: null })
    expect(none.unpriced).toEqual(['transit-gateway-attachment', 'vpn-connection'])
    const half = choice('OpenSearch with standby')
    expect(half).toMatchObject({ monthlyMicroUsd: null, figures: null })
    expect(half.unpriced.length).toBeGreaterThan(0)
  })

  test('a gateway that costs as much as the tunnels never pays by price', () => {
    const dear = new Prices([
      { ...row, key: 'vpn-connection', usd: '0.05' },
      { ...row, key: 'transit-gateway-attachment', usd: '0.10' },
    ])
    expect(choice('Transit gateway', dear).figures).toContain('never pays by price alone')
  })
})
