import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RateMeter } from './rate-meter.ts'

test('a steady growth comes out as its rate', () => {
  const meter = new RateMeter()
  for (let second = 0; second <= 60; second++) meter.observe(second * 500, second * 1_000)
  expect(meter.perSecond).toBeCloseTo(500, 0)
})

test('a total that falls belongs to a new process and is no negative rate', () => {
  const meter = new RateMeter()
  for (let second = 0; second <= 60; second++) meter.observe(second * 500, second * 1_000)
  meter.observe(0, 61_000)
  meter.observe(500, 62_000)
  expect(meter.perSecond).toBeCloseTo(500, 0)
})

test('a signed total may fall', () => {
  const meter = new RateMeter({ signed: true })
  for (let second = 0; second <= 60; second++) meter.observe(-second * 20, second * 1_000)
  expect(meter.perSecond).toBeCloseTo(-20, 0)
})

test('the rate stays between nothing and the fastest interval, however unevenly it is observed', () => {
  const steps = fc.array(fc.record({ grow: fc.nat(10_000), ms: fc.nat(5_000) }), { minLength: 1 })
  fc.assert(
    fc.property(steps, (observed) => {
      const meter = new RateMeter()
      let [total, at, fastest] = [0, 0, 0]
      meter.observe(total, at)
      let since = { total, at }
      for (const { grow, ms } of observed) {
        total += grow
        at += ms
        meter.observe(total, at)
        if (at === since.at) continue
        fastest = Math.max(fastest, ((total - since.total) / (at - since.at)) * 1_000)
        since = { total, at }
      }
      expect(meter.perSecond).toBeGreaterThanOrEqual(0)
      expect(meter.perSecond).toBeLessThanOrEqual(fastest + 1e-6)
    }),
  )
})
