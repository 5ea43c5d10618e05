import { createHmac, timingSafeEqual } from 'node:crypto'

export type Signed = Readonly<Record<string, string | number | boolean>>

/** HMAC-SHA256, hexadecimal, over `key=value&…` with the keys in order, as the merchant API wants it. */
export function sign(values: Signed, secret: string): string {
  const text = Object.keys(values)
    .sort()
    .map((key) => `${key}=${values[key]}`)
    .join('&')
  return createHmac('sha256', secret).update(text).digest('hex')
}

export function isSigned(values: Signed, signature: string, secret: string): boolean {
  const expected = Buffer.from(sign(values, secret))
  const given = Buffer.from(signature)
  return expected.length === given.length && timingSafeEqual(expected, given)
}
