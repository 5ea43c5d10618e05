/**
 * Goal: the queue of the simulation behaves as pg-boss does, so that what the job handling survives there it survives
 * here. Method: one contract of what `Jobs` relies on, asked of pg-boss on a PostgreSQL and of the simulated one.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import type { JobBoss, KnownJob, QueueOptions } from '@replatform/control/job-boss'
import { startPostgresql } from '@replatform/testkit/postgresql-server'
import pg from 'pg'
import { PgBoss } from 'pg-boss'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { JobTable } from './job-table.ts'
import { Network } from './network.ts'
import { SimBoss, WakeUps } from './sim-boss.ts'
import { SimControl } from './sim-control.ts'
import type { SimProcess } from './sim-process.ts'
import { World } from './world.ts'

interface Client {
  readonly boss: JobBoss
  /** From now on nothing of it arrives, until it wakes up. */
  sleep(): void
  wake(): void
}

interface Queues extends AsyncDisposable {
  client(): Promise<Client>
  /** Long enough for every claim that is not renewed to be given away. */
  letClaimsLapse(): Promise<void>
}

/** Waits until it holds; time passes meanwhile. */
async function until<T>(look: () => Promise<T | undefined | false> | T | undefined | false): Promise<T> {
  for (const deadline = performance.now() + 60_000; performance.now() < deadline; await sleep(20)) {
    const seen = await look()
    if (seen) return seen
  }
  throw new Error('Waited in vain.')
}

const retried: QueueOptions = { notify: true, expireInSeconds: 3_600, retryLimit: 1_000, retryDelay: 1 }
const looking = { localConcurrency: 1, notifyPollingIntervalSeconds: 2 }

let server: Awaited<ReturnType<typeof startPostgresql>>
beforeAll(async () => {
  server = await startPostgresql({ major: 17 })
  await server.createDatabase('jobs')
}, 60_000)
afterAll(() => server[Symbol.asyncDispose]())

async function real(): Promise<Queues> {
  const closing = new AsyncDisposableStack()
  const pool = new pg.Pool({ connectionString: server.url('jobs'), max: 20 })
  closing.defer(() => pool.end())
  return {
    client: async () => {
      let awake = Promise.withResolvers<void>()
      awake.resolve()
      const executeSql = async (text: string, values: unknown[] = []) => {
        await awake.promise
        return pool.query(text, values)
      }
      const often = { superviseIntervalSeconds: 1, monitorIntervalSeconds: 1 }
      const boss = new PgBoss({ db: { executeSql }, schema: 'jobs', schedule: false, ...often })
      boss.on('error', () => {})
      await boss.start()
      closing.defer(() => boss.stop({ graceful: false }))
      return {
        boss,
        sleep: () => {
          awake = Promise.withResolvers()
        },
        wake: () => awake.resolve(),
      }
    },
    letClaimsLapse: async () => {
      await pool.query(`UPDATE jobs.job SET heartbeat_on = now() - interval '1 hour' WHERE state = 'active'`)
    },
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}

async function simulated(): Promise<Queues> {
  const world = new World(1)
  world.faults.isOver = true
  const control = new SimControl('control', { network: new Network(world), jobs: new JobTable(world) })
  const wakeUps = new WakeUps(world)
  let isOver = false
  // Time passes only from event to event, as fast as they can be had; so there always has to be one.
  const tick = () => void world.scheduler.after(100, tick)
  tick()
  const running = world.scheduler.run(
    () => isOver,
    () => {},
  )
  return {
    client: async () => {
      const process: SimProcess = world.process('client')
      const boss = new SimBoss(process, control, wakeUps, { pollMs: 30_000, superviseMs: 1_000 })
      // It wakes up by itself, while claims lapse.
      return { boss, sleep: () => process.suspend(30_000), wake: () => {} }
    },
    letClaimsLapse: async () => {
      const lapsed = world.now + 40_000
      await until(() => world.now > lapsed)
    },
    [Symbol.asyncDispose]: async () => {
      isOver = true
      await running
    },
  }
}

const kinds = [
  ['pg-boss', real],
  ['the simulated one', simulated],
] as const

describe.each(kinds)('%s', (kind, open) => {
  let queues: Queues
  let names = 0
  beforeAll(async () => {
    queues = await open()
  }, 60_000)
  afterAll(() => queues[Symbol.asyncDispose]())

  async function opened(options: QueueOptions = retried) {
    const name = `queue-${++names}`
    const client = await queues.client()
    await client.boss.createQueue(name, options)
    const stateOf = async (id: string) => (await client.boss.findJobs(name)).find((job) => job.id === id)?.state
    const states = async () => (await client.boss.findJobs(name)).map((job: KnownJob<unknown>) => job.state)
    return { name, client, boss: client.boss, stateOf, states }
  }

  test('each job reaches one worker, in the order of sending; an id that was used is used up', async () => {
    const { name, boss, stateOf } = await opened()
    const seen: string[] = []
    const ids = [1, 2, 3].map(() => crypto.randomUUID())
    for (const id of ids) expect(await boss.send(name, { say: id }, { id })).toBe(id)
    const work = async ([job]: readonly { readonly data: { readonly say: string } }[]) =>
      void seen.push(job?.data.say ?? '')
    await boss.work(name, looking, work)
    await until(async () => (await stateOf(ids[2] as string)) === 'completed')
    expect(await boss.send(name, {}, { id: ids[0] as string })).toBeNull()
    const [last] = [crypto.randomUUID()]
    await boss.send(name, { say: last }, { id: last })
    await until(async () => (await stateOf(last)) === 'completed')
    expect(seen).toEqual([...ids, last])
  })

  test('exclusive: one job of a key, queued or at work; none is in the way once it is gone', async () => {
    const { name, boss, states } = await opened({ ...retried, policy: 'exclusive' })
    const first = await boss.send(name, {}, { singletonKey: 'wave' })
    expect(first).toBeTruthy()
    expect(await boss.send(name, {}, { singletonKey: 'wave' })).toBeNull()
    expect(await boss.send(name, {}, { singletonKey: 'other' })).toBeTruthy()
    expect(await states()).toEqual(['created', 'created'])
    const held = Promise.withResolvers<void>()
    await boss.work(name, { ...looking, localConcurrency: 2 }, () => held.promise)
    await until(async () => (await states()).every((state) => state === 'active'))
    expect(await boss.send(name, {}, { singletonKey: 'wave' })).toBeNull()
    await boss.deleteJob(name, first as string)
    expect(await boss.send(name, {}, { singletonKey: 'wave' })).toBeTruthy()
    held.resolve()
  })

  test('what a handler throws makes the job come again, under a higher count', async () => {
    const { name, boss, stateOf } = await opened()
    const counts: number[] = []
    const id = (await boss.send(name, {})) as string
    await boss.work(name, looking, async ([job]) => {
      counts.push(job?.retryCount ?? -1)
      if (counts.length < 3) throw new Error('not yet')
    })
    await until(async () => (await stateOf(id)) === 'completed')
    expect(counts).toEqual([0, 1, 2])
  })

  test('a job that its handler deletes is gone and does not come again', async () => {
    const { name, boss, states } = await opened()
    let handled = 0
    await boss.send(name, {})
    await boss.work(name, looking, async ([job]) => {
      handled += 1
      if (job) await boss.deleteJob(name, { id: job.id, retryCount: job.retryCount })
    })
    await until(async () => handled === 1 && (await states()).length === 0)
    const next = (await boss.send(name, {})) as string
    await until(async () => handled === 2 && (await states()).length === 0)
    expect(next).toBeTruthy()
  })

  test('offWork returns when the handler has; what is sent later stays', async () => {
    const { name, boss, stateOf } = await opened()
    const held = Promise.withResolvers<void>()
    let isInside = false
    const id = (await boss.send(name, {})) as string
    await boss.work(name, looking, async () => {
      isInside = true
      await held.promise
    })
    await until(() => isInside)
    let isOff = false
    const off = boss.offWork(name, { wait: true }).then(() => {
      isOff = true
    })
    expect(await stateOf(id)).toBe('active')
    expect(isOff).toBe(false)
    held.resolve()
    await off
    await until(async () => (await stateOf(id)) === 'completed')
    const later = (await boss.send(name, {})) as string
    expect(await stateOf(later)).toBe('created')
  })

  test('the claim of one that sleeps goes to another; what the first does when it wakes up touches nothing', async () => {
    const { name, client, stateOf } = await opened({ ...retried, heartbeatSeconds: 10 })
    const other = await queues.client()
    await other.boss.createQueue(name, { ...retried, heartbeatSeconds: 10 })
    const id = (await client.boss.send(name, {})) as string
    const [held, heldByOther] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const claims: { readonly retryCount: number; readonly signal: AbortSignal }[] = []
    const hold =
      (until: Promise<void>) =>
      async ([job]: readonly (typeof claims)[number][]) => {
        if (job) claims.push(job)
        await until
      }
    await client.boss.work(name, looking, hold(held.promise))
    await until(() => claims.length === 1)
    client.sleep()
    await queues.letClaimsLapse()
    await other.boss.work(name, looking, hold(heldByOther.promise))
    await until(() => claims.length === 2)
    expect(claims.map(({ retryCount }) => retryCount)).toEqual([0, 1])
    client.wake()
    await until(() => claims[0]?.signal.aborted)
    expect(claims[1]?.signal.aborted).toBe(false)
    await client.boss.deleteJob(name, { id, retryCount: 0 })
    held.resolve()
    await client.boss.offWork(name, { wait: true })
    const seenByOther = (await other.boss.findJobs(name)).map(({ state }) => state)
    expect(seenByOther, kind).toEqual(['active'])
    heldByOther.resolve()
    await until(async () => (await stateOf(id)) === 'completed')
  })
})
