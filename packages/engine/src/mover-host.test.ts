import type { Mover } from '@replatform/core/connector'
import { expect, test } from 'vitest'
import { serveMover } from './mover-host.ts'
import type { MoverAnswer } from './mover-protocol.ts'

/** Goal: what the worker that died had asked for is not gone on with. Method: a channel that closes in mid-verb. */
test.each([
  ['fence', 'at once'],
  ['run', 'when the run has ended'],
] as const)('a mover whose worker dies during "%s" serves no more, %s', async (verb, when) => {
  const order: string[] = []
  const atWork = Promise.withResolvers<void>()
  const isWaited = Promise.withResolvers<void>()
  const verbOf = async () => {
    atWork.resolve()
    await isWaited.promise
    order.push('verb ended')
  }
  const mover = { fence: verbOf, follow: verbOf, [Symbol.asyncDispose]: async () => {} } as unknown as Mover
  let receive = (_: unknown) => {}
  let close = () => {}
  const answers: unknown[] = []
  const served = serveMover({
    openMover: () => mover,
    channel: {
      send: (message) => void answers.push(message),
      onMessage: (handler) => {
        receive = handler
      },
      onClose: (handler) => {
        close = handler
      },
    },
  }).then(() => order.push('served'))

  const side = { kind: 'postgresql', url: 'env:NOWHERE' } as const
  receive({ id: 1, verb: 'open', params: { spec: { name: 'a', store: { source: side, target: side }, tools: {} } } })
  await expect.poll(() => answers.some((answer) => (answer as MoverAnswer).id === 1)).toBe(true)
  receive({ id: 2, verb, params: { direction: 'forward', side: 'source', withinMs: 1_000, state: 'in-sync' } })
  await atWork.promise
  close()
  if (when === 'at once') await served
  isWaited.resolve()
  await served
  await expect.poll(() => order.length).toBe(2)
  expect(order).toEqual(when === 'at once' ? ['served', 'verb ended'] : ['verb ended', 'served'])
})
