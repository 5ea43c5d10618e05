/**
 * The fence around one side: after `fenceSide` nobody but the mover can write there, however they connect.
 *
 * 1. The door: CONNECT on this database is revoked from everybody but the mover's role. Other databases of the server
 *    are none of our business, so no role is locked. What was granted is remembered in the same transaction.
 * 2. The triggers: every table gets a statement trigger that fires in every replication role. Creating it waits for
 *    each transaction that has written to the table, and every later statement sees it, whatever snapshot it reads by
 *    and whoever runs it: what was acknowledged lies before the fence, and nothing comes after.
 * 3. The sessions: those that were open before end, so that none of them carries a table that nobody else sees yet.
 *
 * All of it lives in catalogues, so it outlasts restarts. The unfencing swaps one function and needs no table's lock.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { ReplatformError } from '@replatform/core/errors'
import { type FenceOrder, isOrderDue, lateOrder } from '@replatform/core/fence-order'
import { countPrepared, describeSessions, endSessions, type OtherSession, otherSessions } from './fence-sessions.ts'
import {
  closeDoor,
  endFencers,
  type Fence,
  fenceOfOther,
  fenceTableSql,
  fenceTables,
  type LockLimits,
  liftFence,
  markFenced,
  standingFence,
  standingTurn,
  supersededState,
  sweepTriggers,
} from './fence-sql.ts'
import { toPostgresqlError } from './postgresql-error.ts'
import type { Session } from './session.ts'

export interface FenceOptions extends Fence {
  /** To the side that is meant, as the mover's role. */
  readonly session: Session
  /** Past it the fence is taken off again. */
  readonly withinMs: number
}

/**
 * Idempotent: on a side that is fenced already it fences what was created since. Rejects with `fence.timeout`,
 * `fence.prepared-transaction` or `auth.missing-rights` and leaves the side open, unless it was fenced before the call:
 * a fence that stood is never lifted by a failure. Rejects with `fence.superseded` where a later turn has been there.
 */
export async function fenceSide(options: FenceOptions): Promise<void> {
  const { session, move, turn } = options
  try {
    await admitMover(session, move)
    await session.query(fenceTableSql)
    await refuseOther(session, move)
    await refusePrepared(session)
    const stoodBefore = await isFenced(session)
    try {
      await raiseFence(options)
    } catch (thrown) {
      await session.query('ROLLBACK')
      if (!stoodBefore && !isSuperseded(thrown)) {
        await lift(session, { verb: 'fence', turn, move })
        await sweepFence(session)
      }
      throw isLockFailure(thrown) ? timedOut(options.withinMs, await otherSessions(options)) : thrown
    }
  } catch (thrown) {
    if (isSuperseded(thrown)) throw lateOrder({ verb: 'fence', turn }, place(session))
    throw toPostgresqlError(thrown, place(session))
  }
}

/**
 * Lets everybody in and write as before the fence. Idempotent, also after a fencing that died half-way. What is left of
 * the fence refuses nobody; `sweepFence` takes it away, where there is time for that. Rejects with `fence.superseded` where
 * a fence of a later turn stands.
 */
export async function unfenceSide(options: Pick<FenceOptions, 'session' | 'move' | 'turn'>): Promise<void> {
  const { session, move, turn } = options
  const order = { verb: 'unfence', turn } as const
  try {
    await admitMover(session, move)
    if (!(await knowsTurns(session))) await session.query(fenceTableSql)
    if (await isDue(session, { ...order, move })) await lift(session, { ...order, move })
  } catch (thrown) {
    if (isSuperseded(thrown)) throw lateOrder(order, place(session))
    throw toPostgresqlError(thrown, place(session))
  }
}

/** Lifts what was left half-way, for a move that is over; the fence of another move is none of its business. */
export async function abandonFence({ session, move }: Pick<FenceOptions, 'session' | 'move'>): Promise<void> {
  if ((await hasFenceTable(session)) && (await otherThatFences(session, move))) return
  await admitMover(session, move)
  await lift(session, null)
}

/** Takes away the idle triggers of a fence that was lifted; does nothing on a side that is fenced. */
export async function sweepFence(session: Session): Promise<void> {
  if (!(await hasFenceTable(session))) return
  const { rowCount } = await session.query(`SELECT FROM replatform.fence WHERE state = 'lifted'`)
  if (rowCount === 1) await session.query(sweepTriggers)
}

/** Whether the fence stands; tables that were created since are fenced by another `fenceSide`. */
export async function isFenced(session: Session): Promise<boolean> {
  if (!(await hasFenceTable(session))) return false
  const { rowCount } = await session.query(`SELECT FROM replatform.fence WHERE state = 'fenced'`)
  return rowCount === 1
}

/** Lets this session pass the triggers of this move's fence; its role must be the one that the fence names. */
export async function admitMover(session: Session, move: string): Promise<void> {
  await session.query(`SELECT set_config('replatform.mover', $1, false)`, [move])
}

/**
 * First gently: writers end their transactions, and those that queue behind the lock are refused with an error of
 * their own instead of losing their connection in the middle of a commit. Then sessions are ended.
 */
async function raiseFence(options: FenceOptions): Promise<void> {
  const { session, withinMs } = options
  const deadline = performance.now() + withinMs
  await session.query(closeDoor(options))

  let isUp = await tryFenceTables(options, limitsUntil(deadline, withinMs / 3))
  while (!isUp) {
    const others = await otherSessions(options)
    await refusePrepared(session)
    if (performance.now() > deadline) throw timedOut(withinMs, others)
    await endSessions(options, others)
    isUp = await tryFenceTables(options, limitsUntil(deadline))
  }

  await endEarlierSessions(options, deadline)
  await refusePrepared(session)
  await session.query(markFenced(options, limitsUntil(deadline)))
}

/** False when some table's lock was not to be had. */
async function tryFenceTables(options: FenceOptions, limits: LockLimits): Promise<boolean> {
  try {
    await options.session.query(fenceTables(options, limits))
    return true
  } catch (thrown) {
    await options.session.query('ROLLBACK')
    if (!isLockFailure(thrown)) throw thrown
    return false
  }
}

function limitsUntil(deadline: number, lockMs = Number.POSITIVE_INFINITY): LockLimits {
  const left = deadline - performance.now()
  return { lockMs: milliseconds(Math.min(lockMs, left)), statementMs: milliseconds(left) }
}

/** Zero would mean no limit. */
function milliseconds(value: number): number {
  return Math.max(Math.ceil(value), 1)
}

/** lock_not_available, deadlock_detected, and query_canceled by the statement's own timeout. */
function isLockFailure(thrown: unknown): boolean {
  return ['55P03', '40P01', '57014'].includes((thrown as { code?: string }).code ?? '')
}

/**
 * Sessions that connect from now on meet the triggers in all they do, and only superusers still can. Those that were
 * here before may have created, and not yet committed, a table that has no trigger.
 */
async function endEarlierSessions(options: FenceOptions, deadline: number): Promise<void> {
  // Where others go on working, a transaction that only made a temporary table may well end by itself.
  const gentleUntil = options.tables ? performance.now() + options.withinMs / 3 : 0
  const { rows } = await options.session.query('SELECT clock_timestamp() AS now')
  const before = (rows[0] as { now: string }).now
  for (;;) {
    const others = await otherSessions(options, before)
    if (others.length === 0) return
    if (performance.now() > deadline) throw timedOut(options.withinMs, others)
    if (performance.now() > gentleUntil) await endSessions(options, others)
    await sleep(5)
  }
}

type MoveOrder = FenceOrder & { readonly move: string }

async function lift(session: Session, order: MoveOrder | null): Promise<void> {
  if (!(await hasFenceTable(session))) return
  await session.query(endFencers)
  const { rows } = await session.query<{ since: string }>(standingFence, [order?.move ?? null])
  const since = rows[0]?.since ?? null
  if (since !== null || order?.verb === 'unfence') await session.query(liftFence(since, order))
}

/** Looks before those are ended who are still fencing: they may be of a later turn. */
async function isDue(session: Session, order: MoveOrder): Promise<boolean> {
  const { rows } = await session.query<{ rank: string }>(standingTurn, [order.move])
  return isOrderDue(order, rows[0] ? Number(rows[0].rank) : null, place(session))
}

function isSuperseded(thrown: unknown): boolean {
  return (thrown as { code?: string }).code === supersededState
}

async function knowsTurns(session: Session): Promise<boolean> {
  const { rows } = await session.query(`SELECT to_regclass('replatform.fence_turn') IS NOT NULL AS made`)
  return (rows[0] as { made: string }).made === 't'
}

async function refuseOther(session: Session, move: string): Promise<void> {
  const other = await otherThatFences(session, move)
  if (other === undefined) return
  throw new ReplatformError('fence.other-move', { message: `${place(session)} is fenced by the move ${other}.` })
}

async function otherThatFences(session: Session, move: string): Promise<string | undefined> {
  const { rows } = await session.query<{ move: string }>(fenceOfOther, [move])
  return rows[0]?.move
}

async function refusePrepared(session: Session): Promise<void> {
  const count = await countPrepared(session)
  if (count === 0) return
  throw new ReplatformError('fence.prepared-transaction', {
    message: `${place(session)} has ${count} prepared ${count === 1 ? 'transaction' : 'transactions'} open.`,
  })
}

async function hasFenceTable(session: Session): Promise<boolean> {
  const { rows } = await session.query(`SELECT to_regclass('replatform.fence') IS NOT NULL AS made`)
  return (rows[0] as { made: string }).made === 't'
}

function timedOut(withinMs: number, others: readonly OtherSession[]): ReplatformError {
  const who = others.length > 0 ? describeSessions(others) : 'no session is listed; a lock is held by the server itself'
  return new ReplatformError('fence.timeout', {
    message: `Writers did not end within ${Math.round(withinMs)} ms: ${who}.`,
  })
}

function place({ host, port, database }: Session): string {
  return `the server ${host}:${port}/${database ?? ''}`
}
