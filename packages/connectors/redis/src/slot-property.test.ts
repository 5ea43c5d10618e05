/**
 * Goal: whatever commands of whatever type come, with whatever deadlines, between clusters too the target ends equal to
 * the source, over by the command stream and back by what notifications tell and a last comparison finds.
 */
import { pollUntil } from '@replatform/testkit/poll-until'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import type { Connection } from './connection.ts'
import { anyCommand, type DrawnCommand } from './test-fixtures/any-command.ts'
import { Following, loadMove } from './test-fixtures/move-rig.ts'
import { SlotClient, type SlotRig, startSlotRig } from './test-fixtures/slot-rig.ts'

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 })

/** Some in one slot, so that commands of several keys find any; the others on every server. */
const keys = ['{1}a', '{1}b', '{2}a', '{2}b', 'c', 'f']
const batch = fc.array(anyCommand(keys), { minLength: 1, maxLength: 60 })
let rig: SlotRig

beforeAll(async () => {
  rig = await startSlotRig({ source: { cluster: {} }, target: { cluster: { engine: 'valkey', shards: 4 } } })
})
afterAll(() => rig[Symbol.asyncDispose]())

/** What a cluster does not carry out is refused, and changes nothing. */
async function send(client: SlotClient, commands: readonly DrawnCommand[]): Promise<void> {
  for (const { command } of commands) {
    const key = command.find((argument) => keys.includes(String(argument)))
    const server = key === undefined ? (client.all[0] as Connection) : client.of(key)
    await server.pipeline([command])
  }
}

test('random commands of all types leave a cluster equal to the other, over', async () => {
  await using app = await SlotClient.open(rig.urls.source)
  await using mover = rig.createMover()
  await loadMove(mover)
  await using following = new Following(mover)
  await fc.assert(
    fc.asyncProperty(batch, async (commands) => {
      await send(app, commands)
      await app.catchUp(following)
      const report = await mover.compare({ scope: 'all', at: 'live' })
      expect(report.equal, JSON.stringify(report.results)).toBe(true)
    }),
    { numRuns: 30 },
  )
})

test('and back, to an older one', async () => {
  await using app = await SlotClient.open(rig.urls.target)
  await using old = await SlotClient.open(rig.urls.source)
  for (const server of [...app.all, ...old.all]) await server.command('FLUSHALL')
  await using mover = rig.createMover('reverse')
  await mover.prepare({ load: false })
  await mover.markStart()
  await fc.assert(
    fc.asyncProperty(batch, async (commands) => {
      await using following = new Following(mover)
      await pollUntil('it follows', () => following.latest)
      await send(app, commands)
      await following.stop()
      const ended = await mover.compare({ scope: 'changed', at: 'fenced' })
      expect(ended.equal, JSON.stringify(ended.results)).toBe(true)
      const again = await mover.compare({ scope: 'all', at: 'live' })
      expect(again.equal, JSON.stringify(again.results)).toBe(true)
    }),
    { numRuns: 20 },
  )
  await mover.cleanUp('everything')
})
