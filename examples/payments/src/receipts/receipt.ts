import type { PaymentPayload } from '../events/payment-event.ts'

/** A payment as the consumer `notification` has taken it. */
export interface ReceiptSource {
  readonly ordinal: string
  readonly subject: string
  readonly payload: PaymentPayload
  readonly taken_at: Date
}

/** Ascends in the order in which events were taken; whoever reads on from an ordinal misses none. */
export const receiptSources = `
  SELECT ordinal, subject, payload, taken_at FROM consumers.inbox WHERE consumer = 'notification'`

/** One line of the manifest, which says of every receipt what must be in it. */
export interface ManifestLine {
  readonly file: string
  readonly sha256: string
  readonly ordinal: string
}

const dong = new Intl.NumberFormat('vi-VN')

/** Always the same bytes for the same payment, so that writing it again changes nothing. */
export function receiptText({ subject, payload, taken_at }: ReceiptSource): string {
  const { transfer, kind, amount, debit, credit } = payload
  return [
    'BIÊN LAI',
    `Số: ${transfer}`,
    `Loại: ${kind}`,
    `Từ: ${debit.account}`,
    `Đến: ${credit.account}`,
    `Số tiền: ${dong.format(amount)} ₫`,
    `Mã: ${subject}`,
    `Lúc: ${taken_at.toISOString()}`,
    '',
  ].join('\n')
}

/** Within the share; a hundred folders, since shares slow down when one folder holds everything. */
export function receiptFile(transfer: string): string {
  return `${transfer.padStart(2, '0').slice(-2)}/${transfer}.txt`
}

export function manifestFile({ taken_at }: Pick<ReceiptSource, 'taken_at'>): string {
  return `manifest-${taken_at.toISOString().slice(0, 7)}.jsonl`
}
