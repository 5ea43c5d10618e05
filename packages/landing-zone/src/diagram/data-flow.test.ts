import { expect, test } from 'vitest'
import { flowsOf } from '../plan/flows.ts'
import { walletBlueprint } from '../test-fixtures/wallet-estate.ts'
import { dataFlowsOf } from './data-flow.ts'
import { drawDataFlow } from './data-flow-picture.ts'

const blueprint = walletBlueprint({ phase: 'transition' })
const { places, flows } = dataFlowsOf(blueprint)
const described = flows.map(({ from, to, protocol, encryption, cardData }) => {
  return `${from} → ${to}: ${protocol}, ${encryption}, ${cardData}`
})

/** Goal: an assessor sees who sends card data to whom, and in what form. Method: the example, whose answers are known. */
test('says protocol, encryption and what of card numbers passes', () => {
  expect(described).toEqual(
    expect.arrayContaining([
      'caller:customers → service:gateway: HTTPS 443, TLS 1.2 or 1.3, tokenised',
      'caller:bank → service:gateway: HTTPS 443, TLS 1.2 or 1.3, none',
      'service:gateway → service:wallet: HTTPS 443, TLS, tokenised',
      'service:wallet → store:ledger: PostgreSQL 6432, TLS, tokenised',
      'service:wallet → store:search-machine: HTTPS 9200, as before, truncated',
      'service:merchants → store:receipts: HTTPS 443, TLS, truncated',
      'service:merchants → partner:api.bank.example: HTTPS 443, TLS, by the service, none',
      'migration → on-premises: reads 5432, 3306, 6379, 27017, 5671, 9200, 22, IPsec, tokenised',
      'people → endpoints: HTTPS 443, TLS, second factor, none',
    ]),
  )
})

test('leaves nothing out but what AWS itself is asked, and balancers', () => {
  const ways = new Set(flows.map(({ from, to }) => `${from} ${to}`))
  const missing = flowsOf(blueprint).filter(({ from, to }) => {
    const [one, other] = [from, to].map((party) => party.replace('balancer:', 'service:'))
    // Partners and buckets stand there by their own names.
    const isNamed = to === 'partners' || to === 'objects' || to.startsWith('partner:')
    const isElsewhere = one === other || to === 'endpoints' || from === 'internet' || isNamed
    return !isElsewhere && !ways.has(`${one} ${other}`)
  })
  expect(missing).toEqual([])
})

test('what nobody declared is undeclared, never none', () => {
  const silent = walletBlueprint({
    change: (zone) => {
      const { cardData: _, ...wallet } = zone.services.wallet as NonNullable<typeof zone.services.wallet>
      return { ...zone, services: { ...zone.services, wallet } }
    },
  })
  const way = dataFlowsOf(silent).flows.find(({ to }) => to === 'service:wallet')
  expect(way?.cardData).toBe('undeclared')
})

test('is drawn whole, and the same every time', async () => {
  const picture = await drawDataFlow(blueprint)
  expect(await drawDataFlow(blueprint)).toBe(picture)
  for (const { name } of places) expect(picture).toContain(name.slice(0, 14))
  for (const { protocol } of flows) expect(picture).toContain(protocol)
  expect(picture).not.toContain('NaN')
  expect(picture).not.toContain('undefined')
})
