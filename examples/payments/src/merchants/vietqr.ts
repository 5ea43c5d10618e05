/**
 * VietQR: EMVCo's merchant-presented QR code as NAPAS uses it. A code is a list of fields: two digits that name it, two
 * digits of length, the value; the last one is a checksum of everything before its value.
 */
export interface VietQr {
  /** Of the bank: six digits. */
  readonly bankBin: string
  readonly bankAccount: string
  /** Whole dong; without it the payer chooses, and the code is good for any number of payments. */
  readonly amount?: bigint | undefined
  /** What the payment is for, in ASCII. */
  readonly purpose?: string | undefined
}

const napas = 'A000000727'
const toAccount = 'QRIBFTTA'
const dong = '704'

export function formatVietQr({ bankBin, bankAccount, amount, purpose }: VietQr): string {
  if (!/^\d{6}$/.test(bankBin)) throw new RangeError('the number of a bank has six digits')
  if (!/^[0-9A-Z]{1,19}$/.test(bankAccount)) throw new RangeError('no account of a bank')
  if (purpose !== undefined && !/^[ -~]{1,25}$/.test(purpose)) throw new RangeError('a purpose is 1 to 25 ASCII signs')
  const beneficiary = field('00', bankBin) + field('01', bankAccount)
  const fields = [
    field('00', '01'),
    field('01', amount === undefined ? '11' : '12'),
    field('38', field('00', napas) + field('01', beneficiary) + field('02', toAccount)),
    field('53', dong),
    amount === undefined ? '' : field('54', String(amount)),
    field('58', 'VN'),
    purpose === undefined ? '' : field('62', field('08', purpose)),
    '6304',
  ].join('')
  return fields + checksum(fields)
}

/** Throws when the text is no VietQR code to an account, or its checksum is wrong. */
export function parseVietQr(text: string): VietQr {
  if (checksum(text.slice(0, -4)) !== text.slice(-4)) throw new Error('the checksum of the code is wrong')
  const fields = parseFields(text)
  const account = parseFields(fields.get('38') ?? '')
  const beneficiary = parseFields(account.get('01') ?? '')
  const [bankBin, bankAccount, amount] = [beneficiary.get('00'), beneficiary.get('01'), fields.get('54')]
  if (account.get('00') !== napas || account.get('02') !== toAccount || fields.get('53') !== dong) {
    throw new Error('the code is none of VietQR')
  }
  if (bankBin === undefined || bankAccount === undefined) throw new Error('the code names no account')
  const purpose = parseFields(fields.get('62') ?? '').get('08')
  return { bankBin, bankAccount, amount: amount === undefined ? undefined : BigInt(amount), purpose }
}

/** CRC-16/CCITT-FALSE in four capital hexadecimal digits. */
export function checksum(text: string): string {
  let crc = 0xffff
  for (const byte of Buffer.from(text, 'ascii')) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff
  }
  return crc.toString(16).toUpperCase().padStart(4, '0')
}

function field(id: string, value: string): string {
  if (value.length > 99) throw new RangeError(`field ${id} is too long`)
  return id + String(value.length).padStart(2, '0') + value
}

function parseFields(text: string): Map<string, string> {
  const fields = new Map<string, string>()
  for (let at = 0; at < text.length; ) {
    const length = Number(text.slice(at + 2, at + 4))
    const value = text.slice(at + 4, at + 4 + length)
    if (!Number.isInteger(length) || value.length !== length) throw new Error('the code ends in mid-field')
    fields.set(text.slice(at, at + 2), value)
    at += 4 + length
  }
  return fields
}
