import { expect, test } from 'vitest'
import { type Cidr, contains, formatCidr, overlaps, parseCidr, part, without } from './cidr.ts'

const range = (text: string): Cidr => parseCidr(text) as Cidr

test('a range is read and written', () => {
  expect(formatCidr(range('10.20.0.0/16'))).toBe('10.20.0.0/16')
  expect(formatCidr(range('255.255.255.255/32'))).toBe('255.255.255.255/32')
})

test.each(['10.20.0.0', '10.20.0.0/33', '10.20.0.1/16', '10.256.0.0/16', 'a.b.c.d/8', '10.0.0.0/'])(
  '%s is no range',
  (text) => expect(parseCidr(text)).toBeUndefined(),
)

test.each([
  ['10.20.0.0/16', '10.20.4.0/24', true],
  ['10.20.0.0/16', '10.21.0.0/16', false],
  ['0.0.0.0/0', '192.168.0.0/24', true],
  ['10.0.0.0/9', '10.127.255.0/24', true],
  ['10.0.0.0/9', '10.128.0.0/24', false],
])('%s and %s share addresses: %s', (one, other, shared) => {
  expect(overlaps(range(one), range(other))).toBe(shared)
  expect(overlaps(range(other), range(one))).toBe(shared)
})

test('a larger range lies in no smaller one', () => {
  expect(contains(range('10.20.0.0/16'), range('10.20.9.0/24'))).toBe(true)
  expect(contains(range('10.20.9.0/24'), range('10.20.0.0/16'))).toBe(false)
})

test('parts follow each other and end with the range', () => {
  expect(formatCidr(part(range('10.20.0.0/16'), 20, 3) as Cidr)).toBe('10.20.48.0/20')
  expect(part(range('10.20.0.0/16'), 20, 16)).toBeUndefined()
  expect(part(range('10.20.0.0/16'), 8, 0)).toBeUndefined()
})

test('the internet without the private ranges is everything else, and nothing of them', () => {
  const excluded = [range('10.0.0.0/8'), range('172.16.0.0/12'), range('192.168.0.0/16')]
  const left = without(range('0.0.0.0/0'), excluded)
  const size = (cidr: Cidr) => 2 ** (32 - cidr.prefix)
  const sum = (ranges: readonly Cidr[]) => ranges.reduce((total, cidr) => total + size(cidr), 0)
  expect(sum(left) + sum(excluded)).toBe(2 ** 32)
  expect(left.some((one) => excluded.some((other) => overlaps(one, other)))).toBe(false)
})
