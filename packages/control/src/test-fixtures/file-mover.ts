import { setTimeout as sleep } from 'node:timers/promises'
import type { Chunk, FollowOptions, Mover } from '@replatform/core/connector'
import type { CompareReport } from '@replatform/core/difference'
import { ReplatformError } from '@replatform/core/errors'
import type { Finding } from '@replatform/core/finding'
import type { Direction, Side } from '@replatform/core/move'
import { position } from '@replatform/core/position'
import type { Place } from '@replatform/core/routing'
import type { FileStore } from './file-store.ts'

/** Moves the count of a `FileStore` one way, by the rules of the connector contract. */
export function openFileMover(store: FileStore, direction: Direction): Mover {
  const source: Place = direction === 'forward' ? 'old' : 'new'
  const target: Place = direction === 'forward' ? 'new' : 'old'
  const placeOf = (side: Side) => (side === 'source' ? source : target)
  const stream = `stream-${direction}`
  const epochFile = `epoch-${direction}`
  let epoch = ''
  const verb = <T>(name: string, act: () => T | Promise<T>) => store.verb(name, direction, act)

  const requireStream = () => {
    if (store.has(source, stream)) return
    throw new ReplatformError('postgresql.slot-missing', { message: `${source} has no ${stream}.` })
  }
  const raiseEpoch = () => {
    for (const old of store.marks(target, epochFile)) store.unmark(target, old)
    epoch = `${epochFile}-${crypto.randomUUID()}`
    store.mark(target, epoch)
  }
  const applyAll = () => {
    if (!store.has(target, epoch)) throw new ReplatformError('epoch.superseded', { message: 'Another follows.' })
    store.setRows(target, store.rows(source))
  }
  const remaining = () => Math.max(0, store.rows(source) - store.rows(target))

  return {
    assess: () => verb('assess', () => (store.has('old', 'blocked') ? [blocker] : [])),
    prepare: ({ load }) =>
      verb('prepare', () => {
        store.mark(source, stream)
        if (load) store.mark(target, 'fenced')
      }),
    groups: async () => [
      {
        name: 'rows',
        rows: store.rows(source),
        bytes: store.rows(source) * 10,
        chunks: 1,
        done: { chunks: store.has(target, 'loaded') ? 1 : 0, rows: 0, bytes: 0 },
      },
    ],
    async *chunks(): AsyncGenerator<Chunk> {
      if (!store.has(target, 'loaded')) yield { id: 'all', group: 'rows', bytes: store.rows(source) * 10 }
    },
    load: () =>
      verb('load', () => {
        store.setRows(target, store.rows(source))
        store.mark(target, 'loaded')
        return { rows: store.rows(target), bytes: store.rows(target) * 10 }
      }),
    finishLoad: (report) => verb('finishLoad', () => report('index of rows')),
    follow: (options) =>
      verb('follow', async () => {
        requireStream()
        raiseEpoch()
        await follow(options)
      }),
    strain: async () => null,
    raiseEpoch: () => verb('raiseEpoch', raiseEpoch),
    fence: (side) => verb('fence', () => store.mark(placeOf(side), 'fenced')),
    unfence: (side) => verb('unfence', () => store.unmark(placeOf(side), 'fenced')),
    barrier: () =>
      verb('barrier', () => ({ position: position(String(store.rows(source))), at: '1970-01-01T00:00:00Z' })),
    remaining: () => verb('remaining', () => ({ count: remaining(), unit: 'changes', exact: true })),
    compare: ({ scope, at }) => verb(`compare-${at}`, () => compare(scope)),
    settleAhead: () => verb('settleAhead', () => {}),
    settle: () => verb('settle', () => {}),
    markStart: () => verb('markStart', () => store.mark(source, `start-${direction}`)),
    recordDecision: ({ id, outcome }) => verb('recordDecision', () => store.mark(target, `decision-${id}`, outcome)),
    cleanUp: (scope) =>
      verb('cleanUp', () => {
        store.unmark(source, stream)
        if (scope === 'everything') for (const mark of store.marks(target, epochFile)) store.unmark(target, mark)
      }),
    [Symbol.asyncDispose]: async () => {},
  }

  async function follow({ signal, report }: FollowOptions): Promise<void> {
    const begun = store.rows(target)
    while (!signal.aborted) {
      await store.verb('apply', direction, () => {})
      applyAll()
      const rows = store.rows(target)
      const at = position(String(rows))
      const sums = { transactions: rows - begun, rows: rows - begun, bytes: (rows - begun) * 10 }
      report({ position: at, lagMs: 0, lagBytes: remaining() * 10, ...sums })
      await sleep(10)
    }
  }

  function compare(scope: 'all' | 'changed'): CompareReport {
    // A live comparison aligns both sides; here it is enough to catch up.
    if (store.has(target, epoch)) applyAll()
    const [there, here] = [store.rows(source), store.rows(target)]
    const [missing, extra] = [Math.max(0, there - here), Math.max(0, here - there)]
    const result = { name: 'rows', processed: there, matching: Math.min(there, here), mismatched: 0, missing, extra }
    return { scope, at: String(there), equal: there === here, seconds: 0, results: [{ ...result, samples: [] }] }
  }
}

const blocker: Finding = {
  id: 'test.blocked',
  severity: 'blocker',
  title: 'The test blocks the move.',
  evidence: ['old/blocked'],
  remedy: 'Remove the file.',
}
