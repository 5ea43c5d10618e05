import { describe, expect, it } from 'vitest'
import { ProgressLines } from './progress-lines.ts'
import * as wallet from './test-fixtures/wallet-status.ts'

const { estateOf } = wallet

describe('progress without a terminal', () => {
  it('says each change once', () => {
    const lines = new ProgressLines()
    expect(lines.take(estateOf(wallet.planned), null, 0)).toEqual(['ledger: planned'])
    expect(lines.take(estateOf(wallet.planned), null, 5_000)).toEqual([])
    expect(lines.take(estateOf(wallet.inSync), null, 6_000)).toEqual([
      'ledger: in-sync',
      'ledger: lag 12 ms and 4.3 kB, 812 rows/s, 154 kB/s',
    ])
    expect(lines.take(estateOf(wallet.paused), null, 9_000)).toEqual([
      'ledger: catching-up',
      'ledger: paused: The target has no room left.',
    ])
  })

  it('says mere progress at most once in two seconds, but a new state at once', () => {
    const lines = new ProgressLines()
    const at = (lagMs: number) => {
      const { follow } = wallet.inSync
      return estateOf({ ...wallet.inSync, follow: follow && { ...follow, lagMs } })
    }
    expect(lines.take(at(1), null, 0)).toHaveLength(2)
    expect(lines.take(at(2), null, 1_999)).toEqual([])
    expect(lines.take(at(3), null, 2_000)).toEqual(['ledger: lag 3 ms and 4.3 kB, 812 rows/s, 154 kB/s'])
    expect(lines.take(estateOf(wallet.cuttingOver), null, 2_001)).toEqual(['ledger: cutting-over'])
  })

  it('says how a load comes along', () => {
    const [, progress] = new ProgressLines().take(estateOf(wallet.loading), null, 0)
    expect(progress).toBe(
      'ledger: 24%, 32.5M rows, 5.5 GB, 412k rows/s, 84.3 MB/s, ETA 3m 12s, load public.transactions',
    )
  })

  it('says each step of an operation as it ends', () => {
    const lines = new ProgressLines()
    const operation = (doneSteps: number) => ({
      id: 'o-1',
      verb: 'cutover' as const,
      move: 'ledger',
      wave: null,
      state: 'running' as const,
      startedAt: '',
      finishedAt: null,
      steps: wallet.cutover({ doneSteps, outcome: 'undecided', pauseMs: null }).steps,
      result: null,
      error: null,
    })
    expect(lines.take(estateOf(), operation(1), 0)).toEqual(['ledger: cutover: prepare-return done in 3 ms'])
    expect(lines.take(estateOf(), operation(2), 1)).toEqual(['ledger: cutover: compare-live done in 20 ms'])
  })
})
