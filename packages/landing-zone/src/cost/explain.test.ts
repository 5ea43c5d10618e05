import { beforeAll, expect, test } from 'vitest'
import type { TemplateGraph } from '../template/template-graph.ts'
import { graphOf } from '../test-fixtures/graph-of.ts'
import { patienceMs, walletBlueprint } from '../test-fixtures/wallet-estate.ts'
import { explain } from './explain.ts'
import { leftOut } from './left-out.ts'
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

test('what was left out says when it would pay', () => {
  const without = leftOut(blueprint)
  expect(without.map(({ what }) => what)).toEqual(
    expect.arrayContaining(['Transit gateway', 'Network Firewall', 'Direct Connect', 'OpenSearch with standby']),
  )
  expect(without.every(({ breakEven }) => breakEven.length > 10)).toBe(true)
})
