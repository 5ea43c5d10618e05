/** Addresses as old configurations write them. */
import { type Cidr, contains, formatCidr, parseCidr, privateRanges } from '../plan/cidr.ts'

/** `10.0.0.1`, `10.0.0.0/8`, `10.0.0.0/255.0.0.0` as a range; null for names, IPv6 and what is no range. */
export function rangeOf(text: string): Cidr | null {
  const [address = '', mask] = text.split('/')
  const prefix = mask === undefined ? 32 : mask.includes('.') ? prefixOf(mask) : Number(mask)
  if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(address) || prefix === null || !(prefix >= 0 && prefix <= 32)) return null
  const octets = address.split('.').map(Number)
  if (octets.some((octet) => octet > 255)) return null
  const value = octets.reduce((sum, octet) => sum * 256 + octet, 0)
  const size = 2 ** (32 - prefix)
  // Old programs accept bits behind the prefix, and so must we.
  return { base: Math.floor(value / size) * size, prefix }
}

export function rangeText(text: string): string | null {
  const range = rangeOf(text)
  return range ? formatCidr(range) : null
}

function prefixOf(mask: string): number | null {
  const bits = mask
    .split('.')
    .map((octet) => Number(octet).toString(2).padStart(8, '0'))
    .join('')
  return /^1*0*$/.test(bits) && bits.length === 32 ? bits.replaceAll('0', '').length : null
}

const inHouse = privateRanges.flatMap((text) => parseCidr(text) ?? [])

export function isPrivate(range: Cidr): boolean {
  return inHouse.some((one) => contains(one, range))
}

export const everywhere: Cidr = { base: 0, prefix: 0 }
