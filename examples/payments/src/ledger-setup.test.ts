import { describe, expect, test } from 'vitest'
import { recordBaseline } from './judge.ts'
import { startTestDatabase } from './test-database.ts'
import { createLedger, query } from './test-wallet.ts'

describe.each([13, 17] as const)('the ledger on PostgreSQL %i', (major) => {
  test('is seeded with books that balance, and gives the wallet no more rights than it needs', async () => {
    await using database = await startTestDatabase(major)
    await createLedger(database, 'wallet', { accounts: 50, historyRows: 3000 })
    const owner = database.url('wallet_owner', 'wallet')
    const wallet = database.url('wallet', 'wallet')

    const odd = await query(owner, 'SELECT id FROM ledger.balances WHERE balance <> derived_balance')
    expect(odd).toEqual([])
    const baseline = await recordBaseline(wallet)
    expect(baseline.balanceSum).toBe('0')
    expect(baseline.seeded.count).toBe(50 + Math.ceil(3000 / 5.2))

    await expect(query(wallet, `DELETE FROM ledger.entries`)).rejects.toMatchObject({ code: '42501' })
    await expect(query(wallet, `UPDATE ledger.transfers SET amount = 1`)).rejects.toMatchObject({ code: '42501' })
    await expect(
      query(wallet, `INSERT INTO ledger.events (kind, subject, detail) VALUES ('a', 'b', '{}')`),
    ).rejects.toMatchObject({ code: '42501' })
    await expect(query(wallet, `CALL ledger.fill_history(1)`)).rejects.toMatchObject({ code: '42501' })
  })

  test('refuses entries that do not sum to zero', async () => {
    await using database = await startTestDatabase(major)
    await createLedger(database, 'wallet', { accounts: 2 })
    const insertion = `INSERT INTO ledger.entries (account_id, seq, transfer_id, amount, balance_after, chain)
                       VALUES (1001, 2, 1, 5, 5, '\\x')`
    await expect(query(database.url('wallet', 'wallet'), insertion)).rejects.toMatchObject({ code: '23000' })
  })
})
