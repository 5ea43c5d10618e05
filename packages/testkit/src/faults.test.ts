import { expect, test } from 'vitest'
import { type Fault, FaultSchedule } from './fault-schedule.ts'
import { startPostgresql } from './postgresql-server.ts'
import { suspend } from './process-fault.ts'
import { startRedis } from './redis-server.ts'
import { createSmallDisk, smallDiskRefusal } from './small-disk.ts'
import { SteppedClock } from './stepped-clock.ts'

test('a suspended server keeps its connections and answers when it is resumed', async () => {
  await using server = await startPostgresql({ major: 17 })
  let answered = false
  const suspended = await suspend(server.pid)
  const answer = server.query('SELECT 1 AS one').then((rows) => {
    answered = true
    return rows
  })
  // Another server's whole start: time enough for an answer, had there been one.
  await using _ = await startRedis()
  expect(answered).toBe(false)
  suspended.resume()
  expect(await answer).toEqual([{ one: 1 }])
})

test.skipIf(smallDiskRefusal)(`on a full disk writes fail, and work again when there is room${note()}`, async () => {
  await using disk = await createSmallDisk(64 * 1024 * 1024)
  await using server = await startRedis({ within: disk.path, settings: { appendonly: 'yes', appendfsync: 'always' } })
  const value = 'x'.repeat(100_000)
  await server.command('SET', 'before', value)
  await disk.fill()
  expect(await disk.bytesFree()).toBe(0)
  await expect(server.command('SAVE')).rejects.toThrow()
  await disk.free()
  expect(await server.command('SAVE')).toBe('OK')
  expect(await server.command('GET', 'before')).toBe(value)
})

test('one seed is one schedule, and no fault is left behind', async () => {
  const active = new Set<string>()
  const happened: string[] = []
  const fault = (name: string): Fault => ({
    name,
    inject: () => {
      active.add(name)
      happened.push(name)
      if (happened.length === 5) enough.abort()
    },
    lift: () => active.delete(name),
  })
  const enough = new AbortController()
  const short = { calmMs: [0, 2], faultMs: [0, 2] } as const
  const faults = [fault('cut'), fault('stall'), fault('kill')] as const
  const schedule = new FaultSchedule({ faults, seed: 42, ...short })
  const done = await schedule.run(enough.signal)
  expect(done.map(({ name }) => name)).toEqual(happened)
  expect(active).toEqual(new Set())

  expect(names(new FaultSchedule({ faults, seed: 42, ...short }), 5)).toEqual(happened)
  expect(names(new FaultSchedule({ faults, seed: 43, ...short }), 20)).not.toEqual(names(schedule, 20))
})

test('a stepped clock jumps in the time of day alone', () => {
  const clock = new SteppedClock()
  clock.step(-3_600_000)
  expect(clock.wallTime()).toBeLessThan(Date.now() - 3_500_000)
  expect(clock.now()).toBeLessThanOrEqual(performance.now())
})

function names(schedule: FaultSchedule, count: number): string[] {
  const plan = schedule.plan()
  return Array.from({ length: count }, () => plan.next().value.name)
}

function note(): string {
  return smallDiskRefusal ? ` (${smallDiskRefusal})` : ''
}
