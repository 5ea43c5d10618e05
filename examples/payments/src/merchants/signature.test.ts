import { createHmac } from 'node:crypto'
import { expect, test } from 'vitest'
import { isSigned, sign } from './signature.ts'

const secret = 'a secret'
const create = {
  requestId: 'r1',
  partnerCode: 'P',
  amount: 50_000,
  accessKey: 'A',
  orderId: 'o1',
  orderInfo: 'pay with MoMo',
  extraData: '',
  ipnUrl: 'https://shop.example/ipn',
  redirectUrl: 'https://shop.example',
  requestType: 'captureWallet',
}

test('a request is signed over its fields in the order of their names, empty ones included', () => {
  const text =
    'accessKey=A&amount=50000&extraData=&ipnUrl=https://shop.example/ipn&orderId=o1&orderInfo=pay with MoMo' +
    '&partnerCode=P&redirectUrl=https://shop.example&requestId=r1&requestType=captureWallet'
  expect(sign(create, secret)).toBe(createHmac('sha256', secret).update(text).digest('hex'))
})

test('a changed field, another secret or a cut signature is refused', () => {
  const signature = sign(create, secret)
  expect(isSigned(create, signature, secret)).toBe(true)
  expect(isSigned({ ...create, amount: 50_001 }, signature, secret)).toBe(false)
  expect(isSigned(create, signature, 'another')).toBe(false)
  expect(isSigned(create, signature.slice(1), secret)).toBe(false)
})
