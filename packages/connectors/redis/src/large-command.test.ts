/**
 * Goal: what one command or one transaction of the source has written is followed, whatever its size, by a mover that
 * never holds it.
 */
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { MoverEvent } from '@replatform/engine/mover-protocol'
import { pollUntil } from '@replatform/testkit/poll-until'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Argument, encodeCommand } from './command-buffer.ts'
import { mostHeldBytes } from './command-scanner.ts'
import type { Connection } from './connection.ts'
import { lowered } from './deadline.ts'
import { LargeScan } from './large-scan.ts'
import { LargeStreamCommand } from './large-unit.ts'
import { RedisReplyError, type RespValue } from './resp-reader.ts'
import { StreamCommand } from './stream-command.ts'
import { StreamUnits } from './stream-units.ts'
import { lastState } from './test-fixtures/kill-points.ts'
import { startMoveRig } from './test-fixtures/move-rig.ts'
import { SlotClient, startSlotRig } from './test-fixtures/slot-rig.ts'
import { startMover } from './test-fixtures/start-mover.ts'

const megabyte = 1024 * 1024

test('the outline of a command says where its arguments stand, however it comes', () => {
  const argument = fc.uint8Array({ maxLength: 3_000 }).map((bytes) => Buffer.from(bytes))
  fc.assert(
    fc.property(
      fc.array(argument, { minLength: 1, maxLength: 80 }),
      fc.integer({ min: 1, max: 5_000 }),
      (args, pieceBytes) => {
        const command = encodeCommand(args)
        const stream = Buffer.concat([command, encodeCommand(['PING'])])
        const scan = new LargeScan()
        let taken = 0
        while (!scan.outline) taken += scan.take(stream.subarray(taken, taken + pieceBytes))
        expect(taken).toBe(command.length)
        const { outline } = scan
        expect(outline).toMatchObject({ count: args.length, bytes: command.length })
        expect(outline.longestBytes).toBe(Math.max(...args.map((arg) => arg.length)))
        for (const [at, { start, length, bytes }] of outline.args.entries()) {
          const expected = args[at] as Buffer
          expect(command.subarray(start, start + length).equals(expected)).toBe(true)
          if (bytes) expect(bytes.equals(expected)).toBe(true)
          else expect(length).toBeGreaterThan(1_024)
        }
      },
    ),
  )
})

test('large commands and transactions come out as they went in, between others', async () => {
  const value = randomBytes(mostHeldBytes)
  const [small, large] = [encodeCommand(['SET', 'k', 1]), encodeCommand(['SET', 'k', value, 'EX', 5])]
  const [multi, exec] = [encodeCommand(['MULTI']), encodeCommand(['EXEC'])]
  const many = Buffer.concat(Array.from({ length: 40 }, () => encodeCommand(['SET', 'k', value.subarray(0, 1 << 18)])))
  const stream = Buffer.concat([small, large, small, multi, small, large, small, exec, multi, many, exec, small])
  const ends = [1, 2, 3, 8, 11, 12]
  for (const pieceBytes of [4_099, 1_000_003, stream.length]) {
    await using units = new StreamUnits(0)
    const found: [number, boolean, Buffer][] = []
    for (let at = 0; at < stream.length; at += pieceBytes) {
      units.push({ data: stream.subarray(at, at + pieceBytes), receivedAtMs: 0 })
      for (let unit = units.next(); unit; unit = units.next()) {
        const pieces = unit.commands.map(({ bytes }) => bytes)
        for await (const command of unit.large?.commands() ?? []) {
          if (command instanceof StreamCommand) pieces.push(Buffer.from(command.bytes))
          else for await (const piece of command.read(0, command.outline.bytes)) pieces.push(piece)
          if (command instanceof LargeStreamCommand) expect(command.outline.count).toBe(5)
        }
        await unit.large?.[Symbol.asyncDispose]()
        found.push([unit.end, unit.large !== null, Buffer.concat(pieces)])
      }
      await units.flush()
    }
    const all = [small, large, small, multi, small, large, small, exec, multi, many, exec, small]
    const offsets = ends.map((count) => Buffer.concat(all.slice(0, count)).length)
    expect(found.map(([end]) => end)).toEqual(offsets)
    expect(found.map(([, isLarge]) => isLarge)).toEqual([false, true, false, true, true, false])
    const bodies = [small, large, small, Buffer.concat([small, large, small]), many, small]
    expect(found.every(([, , bytes], at) => bytes.equals(bodies[at] as Buffer))).toBe(true)
  }
})

test('a key that is too long is told by name', () => {
  const units = new StreamUnits(0)
  units.push({ data: encodeCommand(['SET', Buffer.alloc(9 * megabyte), 'v']), receivedAtMs: 0 })
  expect(() => units.next()).toThrow(expect.objectContaining({ code: 'redis.value-too-large' }))
})

/** A hash of a hundred thousand fields, by one command. */
function largeHash(key: string, fieldBytes: number): Argument[] {
  const value = randomBytes(fieldBytes)
  return ['HSET', key, ...Array.from({ length: 100_000 }, (_, i) => [i, value]).flat()]
}

async function sendAll(app: Connection, ...commands: Argument[][]): Promise<RespValue[]> {
  const replies = await app.pipeline(commands)
  expect(replies.filter((reply) => reply instanceof RedisReplyError)).toEqual([])
  return replies
}

async function fillLarge(app: Connection): Promise<void> {
  const send = (...commands: Argument[][]) => sendAll(app, ...commands)
  const value = randomBytes(20 * megabyte)
  const repeat = "redis.call('SET', KEYS[1], string.rep('0123456789abcdef', 6 * 1024 * 1024))"
  await send(['EVAL', repeat, 1, 'value'])
  // One transaction of many, none of which is large by itself.
  const many =
    "for i = 1, 60 do redis.call('SET', KEYS[i % 4 + 1], string.rep('0123456789abcdef', 256 * 1024) .. i) end"
  await send(['EVAL', many, 4, 'many:0', 'many:1', 'many:2', 'many:3'])
  await send(largeHash('hash', 400))
  await send(['RPUSH', 'list', ...largeHash('', 100).slice(2)])
  const [, payload] = await send(['SET', 'replaced', value, 'PX', 3_600_000], ['DUMP', 'replaced'])
  await send(['RESTORE', 'restored', 3_600_000, payload as Buffer])
  // The reply is as large as the value.
  await send(['GETSET', 'replaced', 'small'])
  await send(
    ['MULTI'],
    ['SELECT', 3],
    ['SET', 'within', value, 'EX', 3_600],
    ['INCR', 'n'],
    ['RPUSH', 'list', ...largeHash('', 100).slice(2)],
    ['SELECT', 0],
    ['SET', 'last', 1],
    ['EXEC'],
  )
}

test('commands and transactions of up to 240 MB, by a mover under 300 MB', { timeout: 240_000 }, async () => {
  await using rig = await startMoveRig({
    source: { settings: { 'client-output-buffer-limit': 'replica 2gb 2gb 0' } },
  })
  await using app = await rig.openAll('source')
  await using mover = await startMover('cache', rig.urls)
  const run = mover.client.call('run', { direction: 'forward', state: 'planned' })
  run.catch(() => {})
  await Promise.race([mover.waitFor((e) => e.event === 'state' && e.state === 'in-sync'), run])
  await fillLarge(app)
  await using target = await rig.openAll('target')
  const isThere = async () => (await target.command('GET', 'last')) !== null
  await Promise.race([pollUntil('the last key came', isThere, { withinMs: 200_000 }), run])
  for (const [db, keys] of [
    [0, ['value', 'hash', 'list', 'replaced', 'restored', 'last']],
    [3, ['within', 'n', 'list']],
  ] as const) {
    for (const side of [app, target]) await side.command('SELECT', db)
    for (const key of keys) {
      const [ours, theirs] = await Promise.all([target, app].map((side) => side.command('DEBUG', 'DIGEST-VALUE', key)))
      expect(ours, key).toEqual(theirs)
    }
    for (const key of db === 0 ? ['restored'] : ['within']) {
      const [ours, theirs] = await Promise.all([target, app].map((side) => side.command('PEXPIRETIME', key)))
      expect(lowered(Number(ours))).toBe(theirs)
    }
  }
  const status = await readFile(`/proc/${mover.pid}/status`, 'utf8')
  expect(Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1024).toBeLessThan(300)
  await mover.client.call('stop', {})
})

test('between clusters in steps, each of them once, also by a mover that was killed', {
  timeout: 240_000,
}, async () => {
  await using rig = await startSlotRig({ source: { cluster: {} }, target: { cluster: {} } })
  await using apps = await SlotClient.open(rig.urls.source)
  await using targets = await SlotClient.open(rig.urls.target)
  const [app, target] = [apps.of('{t}'), targets.of('{t}')]
  const first = await startMover('cache', rig.urls)
  const follows = (e: MoverEvent) => e.event === 'state' && e.state === 'in-sync'
  first.client.call('run', { direction: 'forward', state: 'planned' }).catch(() => {})
  await first.waitFor(follows)
  await sendAll(app, ['RPUSH', '{t}list', ...Array.from({ length: 400_000 }, (_, i) => `item ${i} of the list`)])
  await pollUntil('a part came', async () => Number(await target.command('LLEN', '{t}list')) > 0, { everyMs: 1 })
  await first.kill()
  // All of it must fit into the backlog.
  const value = randomBytes(9 * megabyte)
  await sendAll(app, ['SET', '{t}value', value], ['SET', '{t}with', value, 'EX', 3_600], largeHash('{t}hash', 100))
  await sendAll(app, ['MULTI'], ['INCR', '{t}n'], ['SET', '{t}within', value], ['INCR', '{t}n'], ['EXEC'])
  await sendAll(app, ['SET', '{t}last', 1])
  await using second = await startMover('cache', rig.urls)
  const run = second.client.call('run', { direction: 'forward', state: lastState(first) })
  run.catch(() => {})
  const isThere = async () => (await target.command('GET', '{t}last')) !== null
  await Promise.race([pollUntil('the last key came', isThere, { withinMs: 200_000 }), run])
  for (const key of ['list', 'value', 'with', 'hash', 'within', 'n'].map((name) => `{t}${name}`)) {
    const [ours, theirs] = await Promise.all([target, app].map((side) => side.command('DEBUG', 'DIGEST-VALUE', key)))
    expect(ours, key).toEqual(theirs)
  }
  await second.client.call('stop', {})
})
