import { describe, expect, test } from 'vitest'
import { checksum, formatVietQr, parseVietQr } from './vietqr.ts'

/** Published codes; each is formatted anew from what it says. */
const published = [
  '00020101021138540010A00000072701240006970418011062540463830208QRIBFTTA53037045802VN6304AB32',
  '00020101021138530010A0000007270123000697041601092576788590208QRIBFTTA53037045802VN6304AE9F',
  '00020101021138580010A000000727012800069704070114190367812340150208QRIBFTTA53037045802VN63045B4B',
]

describe.each(published)('%s', (code) => {
  test('is read and written', () => {
    expect(formatVietQr(parseVietQr(code))).toBe(code)
  })

  test('with any digit changed is refused', () => {
    for (let at = 0; at < code.length; at++) {
      const changed = code.slice(0, at) + (code[at] === '7' ? '8' : '7') + code.slice(at + 1)
      expect(() => parseVietQr(changed)).toThrow()
    }
  })
})

test('the first published code says the bank and the account', () => {
  expect(parseVietQr(published[0] ?? '')).toMatchObject({ bankBin: '970418', bankAccount: '6254046383' })
})

test('a code for one payment says its amount and its purpose', () => {
  const payment = { bankBin: '970418', bankAccount: '6254046383', amount: 79_000n, purpose: 'order 17' }
  const code = formatVietQr(payment)
  expect(code).toContain('010212')
  expect(code).toContain('540579000')
  expect(parseVietQr(code)).toEqual(payment)
})

test('the checksum is CRC-16/CCITT-FALSE', () => {
  expect(checksum('123456789')).toBe('29B1')
})

test('what does not fit is refused', () => {
  expect(() => formatVietQr({ bankBin: '97041', bankAccount: '1' })).toThrow(RangeError)
  expect(() => formatVietQr({ bankBin: '970418', bankAccount: '12345678901234567890' })).toThrow(RangeError)
  expect(() => formatVietQr({ bankBin: '970418', bankAccount: '1', purpose: 'thanh toán' })).toThrow(RangeError)
})
