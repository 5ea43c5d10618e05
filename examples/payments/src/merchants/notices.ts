import type { MerchantDatabase } from './merchant-database.ts'
import { sign } from './signature.ts'

interface DueNotice {
  readonly id: number
  readonly url: string
  readonly body: string
  readonly attempts: number
  readonly partnerCode: string
  readonly accessKey: string
  readonly secret: string
}

const due = `
  SELECT d.id, d.url, d.body, d.attempts, m.partner_code AS partnerCode, k.access_key AS accessKey, k.secret
    FROM ipn_deliveries d
    JOIN operations p ON p.id = d.operation_id
    JOIN merchants m ON m.id = p.merchant_id
    JOIN api_keys k ON k.merchant_id = m.id
   WHERE d.delivered_at IS NULL AND d.next_at <= current_timestamp(3) AND d.url <> ''
   ORDER BY d.next_at LIMIT 50`

/** As long as the API promises a merchant to answer in. */
const answerMs = 15_000

/**
 * Tells merchants what was paid, signed, until they answer 204: at least once. Returns how many were told now.
 */
export async function deliverNotices(database: MerchantDatabase): Promise<number> {
  const notices = await database.rows<DueNotice>(due)
  const told = await Promise.all(notices.map((notice) => deliver(notice)))
  for (const [n, { id, attempts }] of notices.entries()) {
    const next = Math.min(2 ** attempts, 3600)
    const sql = told[n]
      ? 'UPDATE ipn_deliveries SET attempts = attempts + 1, delivered_at = current_timestamp(3) WHERE id = ?'
      : `UPDATE ipn_deliveries SET attempts = attempts + 1, next_at = current_timestamp(3) + INTERVAL ${next} SECOND
          WHERE id = ?`
    await database.change(sql, [id])
  }
  return told.filter(Boolean).length
}

async function deliver({ url, body, partnerCode, accessKey, secret }: DueNotice): Promise<boolean> {
  const notice = { partnerCode, ...(JSON.parse(body) as Record<string, string | number>) }
  const signature = sign({ ...notice, accessKey }, secret)
  const headers = { 'content-type': 'application/json' }
  const signal = AbortSignal.timeout(answerMs)
  try {
    const text = JSON.stringify({ ...notice, signature })
    return (await fetch(url, { method: 'POST', headers, body: text, signal, redirect: 'error' })).status === 204
  } catch {
    return false
  }
}
