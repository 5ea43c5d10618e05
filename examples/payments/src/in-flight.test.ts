import { expect, test } from 'vitest'
import { InFlight } from './in-flight.ts'

test('what is beyond the bound is not sent, and counted; what ends makes room', async () => {
  const inFlight = new InFlight(2)
  const answers = Array.from({ length: 3 }, () => Promise.withResolvers<void>())
  for (const { promise } of answers) inFlight.launch(() => promise)
  expect(inFlight.notSent).toBe(1)
  for (const { resolve } of answers) resolve()
  await inFlight.ended()
  let sent = false
  inFlight.launch(async () => {
    sent = true
  })
  expect({ sent, notSent: inFlight.notSent }).toEqual({ sent: true, notSent: 1 })
})
