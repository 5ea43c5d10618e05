import type { MerchantDatabase } from './merchant-database.ts'

export interface Settled {
  /** Merchants that got a settlement now. */
  readonly settlements: number
  /** Captures and refunds in them. */
  readonly operations: number
}

/**
 * Settles, for each merchant, everything captured and refunded up to the end of a day in Viet Nam (GMT+7) that has not
 * been settled before. Idempotent: what is settled has its settlement's number. A day is settled once for a merchant;
 * what comes in late is settled with the next one.
 */
export async function settle(database: MerchantDatabase, day: string): Promise<Settled> {
  const end = `TIMESTAMP(DATE_ADD(?, INTERVAL 1 DAY)) - INTERVAL 7 HOUR`
  const due = `state = 'done' AND kind IN ('capture', 'refund') AND settlement_id IS NULL AND happened_at < ${end}`
  const merchants = await database.rows<{ merchant_id: number }>(
    `SELECT DISTINCT merchant_id FROM operations
      WHERE ${due} AND merchant_id NOT IN (SELECT merchant_id FROM settlements WHERE day = ?)`,
    [day, day],
  )
  let operations = 0
  for (const { merchant_id: merchant } of merchants) {
    operations += await database.transaction(async (run) => {
      const { id, changed } = await run.change(
        'INSERT IGNORE INTO settlements (merchant_id, day, captured, refunded, amount) VALUES (?, ?, 0, 0, 0)',
        [merchant, day],
      )
      if (changed === 0) return 0
      const sql = `UPDATE operations SET settlement_id = ? WHERE merchant_id = ? AND ${due}`
      const settled = await run.change(sql, [id, merchant, day])
      await run.change(
        `UPDATE settlements s JOIN (
            SELECT coalesce(sum(if(kind = 'capture', amount, 0)), 0) AS captured,
                   coalesce(sum(if(kind = 'refund', amount, 0)), 0) AS refunded
              FROM operations WHERE settlement_id = ?) t
            SET s.captured = t.captured, s.refunded = t.refunded, s.amount = t.captured - t.refunded
          WHERE s.id = ?`,
        [id, id],
      )
      return settled.changed
    })
  }
  return { settlements: merchants.length, operations }
}
