/** A made-up estate in each of the states that a view must show. */
import type { CutoverStatus, EstateStatus, MoveStatus, StepStatus } from '@replatform/control/api-types'
import { position } from '@replatform/core/position'
import { planCutover } from '@replatform/engine/cutover-steps'
import type { GroupProgress } from '@replatform/engine/mover-protocol'
import { noLimits } from '@replatform/engine/strain-watch'

export const planned: MoveStatus = {
  name: 'ledger',
  wave: null,
  route: 'postgresql→postgresql',
  state: 'planned',
  direction: 'forward',
  paused: null,
  step: null,
  load: null,
  follow: null,
  limits: noLimits,
  heldBy: null,
  lastCompare: null,
  lastCutover: null,
  mover: null,
  next: 'start',
}

export const loading: MoveStatus = {
  ...planned,
  state: 'loading',
  step: 'load public.transactions',
  load: {
    groups: [
      table('public.accounts', { rows: 1_200_000, bytes: 154_000_000, chunks: 4, loaded: 4 }),
      table('public.transactions', { rows: 48_000_000, bytes: 9_400_000_000, chunks: 80, loaded: 33 }),
      table('public.entries', { rows: 96_000_000, bytes: 12_100_000_000, chunks: 100, loaded: 12 }),
      table('public.idempotency_keys_of_the_previous_quarter', {
        rows: 7_000_000,
        bytes: 610_000_000,
        chunks: 6,
        loaded: 0,
      }),
      table('public.settings', { rows: 0, bytes: 0, chunks: 1, loaded: 1 }),
    ],
    rowsPerSecond: 412_345,
    bytesPerSecond: 84_300_000,
    etaSeconds: 192,
  },
  mover: { pid: 4712, rssBytes: 182_000_000, restarts: 1 },
  next: null,
}

export const inSync: MoveStatus = {
  ...planned,
  state: 'in-sync',
  load: loading.load,
  follow: {
    position: position('3/4A5B6C7D'),
    lagMs: 12,
    lagBytes: 4_321,
    transactions: 120_331,
    rows: 481_324,
    bytes: 92_000_000,
    rowsPerSecond: 812,
    bytesPerSecond: 154_000,
    etaSeconds: null,
  },
  lastCompare: {
    scope: 'all',
    at: '3/4A000000',
    equal: true,
    seconds: 41.2,
    results: [
      {
        name: 'public.accounts',
        processed: 1_200_000,
        matching: 1_200_000,
        mismatched: 0,
        missing: 0,
        extra: 0,
        samples: [],
      },
    ],
    finishedAt: '2026-01-02T03:04:05.000Z',
  },
  mover: { pid: 4712, rssBytes: 121_000_000, restarts: 0 },
  next: 'cutover',
}

export const cuttingOver: MoveStatus = {
  ...inSync,
  state: 'cutting-over',
  lastCutover: cutover({ doneSteps: 8, outcome: 'undecided', pauseMs: null }),
  next: null,
}

export const reversing: MoveStatus = {
  ...inSync,
  state: 'reversing',
  direction: 'reverse',
  lastCutover: cutover({ doneSteps: 99, outcome: 'committed', pauseMs: 412 }),
  next: 'rollback, or finalize',
}

export const paused: MoveStatus = {
  ...inSync,
  state: 'catching-up',
  paused: {
    reason: 'The target has no room left.',
    error: {
      code: 'target.full',
      retry: 'operator',
      message: 'The target ledger.example:5432/ledger has no room left: public.entries could not be extended.',
      untouched: 'Everything that was committed on the target stays; the source is unchanged.',
      next: 'Give the target more storage, then `replatform resume`.',
    },
  },
  mover: null,
  next: 'resume',
}

export function estateOf(...moves: readonly MoveStatus[]): EstateStatus {
  const worker = { pid: 4711, version: '0.1.0', startedAt: '2026-01-02T03:04:05.000Z', control: 'pglite' } as const
  return { estate: 'wallet', worker, moves, waves: [] }
}

export function cutover(options: {
  readonly doneSteps: number
  readonly outcome: CutoverStatus['outcome']
  readonly pauseMs: number | null
}): CutoverStatus {
  const { doneSteps, outcome, pauseMs } = options
  const steps = planCutover('forward').map(({ name, description }, index): StepStatus => {
    const state = index < doneSteps ? 'done' : index === doneSteps ? 'running' : 'planned'
    const startedAt = state === 'planned' ? null : '2026-01-02T03:04:05.000Z'
    return { name, description, state, startedAt, ms: state === 'done' ? 3 + index * 17 : null }
  })
  return { id: 'c-1', direction: 'forward', outcome, pauseMs, budgetMs: 2_000, predictedMs: null, steps }
}

export function table(
  name: string,
  size: { readonly rows: number; readonly bytes: number; readonly chunks: number; readonly loaded: number },
): GroupProgress {
  const share = size.loaded / size.chunks
  const loaded = { chunks: size.loaded, rows: Math.round(size.rows * share), bytes: Math.round(size.bytes * share) }
  return {
    name,
    rows: size.rows,
    bytes: size.bytes,
    chunks: size.chunks,
    done: { chunks: 0, rows: 0, bytes: 0 },
    loaded,
  }
}
