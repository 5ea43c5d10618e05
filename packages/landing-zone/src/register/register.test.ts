import { expect, test } from 'vitest'
import { flowsOf } from '../plan/flows.ts'
import { walletBlueprint } from '../test-fixtures/wallet-estate.ts'
import { registerOf } from './register.ts'

const blueprint = walletBlueprint({ phase: 'transition' })
const register = registerOf(blueprint)

test('every flow stands in the register, with its reason', () => {
  const rows = register.flatMap(({ at, port, from, reasons }) =>
    from.map((one, index) => `${one} → ${at}:${port} ${reasons[index]}`),
  )
  const flows = flowsOf(blueprint).map(({ from, to, port, reason }) => `${from} → ${to}:${port} ${reason}`)
  expect(rows.toSorted()).toEqual(flows.toSorted())
})

test('a store says how it is protected and what it holds', () => {
  expect(register.find(({ at }) => at === 'store:ledger')).toMatchObject({
    port: 6432,
    from: ['service:wallet', 'migration'],
    encryption: 'TLS required; disk under own key',
    cardData: 'tokenised',
  })
})

test('a store that does not say what it holds is shown as undeclared', () => {
  const silent = walletBlueprint({
    change: (zone) => {
      const { cardData: _, ...ledger } = zone.stores.ledger as NonNullable<typeof zone.stores.ledger>
      return { ...zone, stores: { ...zone.stores, ledger } }
    },
  })
  expect(registerOf(silent).find(({ at }) => at === 'store:ledger')?.cardData).toBe('undeclared')
})
