import type { AuditEntry } from '@replatform/control/api-types'
import type { ControlRecords } from '@replatform/control/control-records'
import type { CutoverRecord } from '@replatform/control/cutover-records'
import type { Incident } from '@replatform/control/incidents'
import type { JournalEntry, JournalStep } from '@replatform/control/journal'
import type { MoveRecord } from '@replatform/control/move-records'
import type { OperationRecord } from '@replatform/control/operation-records'
import type { Decision } from '@replatform/core/connector'
import { ReplatformError } from '@replatform/core/errors'
import { assertTransition, type MoveState } from '@replatform/core/move'

/** A contract whose every call is answered at once: what a server does with a request, in one transaction. */
export type AtOnce<Contract> = {
  readonly [Verb in keyof Contract]: Contract[Verb] extends (...args: infer Args) => Promise<infer Answer>
    ? (...args: Args) => Answer
    : never
}

export type Tables = {
  readonly [Name in keyof ControlRecords]: AtOnce<ControlRecords[Name]>
}

/** Everything that stands in a control database. What stands in it is never changed, only replaced. */
export interface ControlState {
  moves: Map<string, MoveRecord>
  cutovers: Map<string, CutoverRecord>
  operations: Map<string, OperationRecord>
  claims: Map<string, string>
  journal: JournalEntry[]
  audit: AuditEntry[]
  incidents: Map<number, Incident>
  incidentCount: number
  decisions: Map<string, Decision>
}

export function emptyState(): ControlState {
  return {
    moves: new Map(),
    cutovers: new Map(),
    operations: new Map(),
    claims: new Map(),
    journal: [],
    audit: [],
    incidents: new Map(),
    incidentCount: 0,
    decisions: new Map(),
  }
}

export function copyOf(state: ControlState): ControlState {
  const copied = Object.entries(state).map(([name, value]) => {
    if (value instanceof Map) return [name, new Map(value)]
    return [name, Array.isArray(value) ? [...value] : value]
  })
  return Object.fromEntries(copied)
}

/** `state` is asked for anew each time, since a power cut may put an earlier one in its place. */
export function tablesOver(state: () => ControlState): Tables {
  return {
    moves: moveTable(state),
    cutovers: cutoverTable(state),
    operations: operationTable(state),
    journal: journalTable(state),
    audit: auditTable(state),
    incidents: incidentTable(state),
    approvals: { add: () => unused('approvals'), standing: () => undefined },
    rehearsals: { add: () => {}, last: () => undefined },
  }
}

function moveTable(state: () => ControlState): Tables['moves'] {
  const get = (name: string) => moveOf(state(), name)
  const set = (name: string, change: Partial<MoveRecord>) => setMove(state(), name, change)
  return {
    ensure: (name, route) => {
      const known = state().moves.get(name)
      if (known) return void set(name, { route })
      const nothing = { shouldRun: false, paused: null, limits: null, lastCompare: null }
      const planned = { name, route, state: 'planned', ...nothing } as const
      state().moves.set(name, planned)
    },
    list: () => [...state().moves.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    get,
    transition: (name, to) => transition(state(), name, to),
    renew: (name) => set(name, { state: 'planned', paused: null, lastCompare: null }),
    run: (name) => set(name, { shouldRun: true, paused: null }),
    pause: (name, reason, error) => set(name, { shouldRun: false, paused: { reason, error } }),
    end: (name) => set(name, { shouldRun: false, paused: null }),
    limit: (name, limits) => set(name, { limits }),
    recordCompare: (name, report, finishedAt) => set(name, { lastCompare: { ...report, finishedAt } }),
  }
}

function cutoverTable(state: () => ControlState): Tables['cutovers'] {
  const all = () => [...state().cutovers.values()]
  const last = (fits: (cutover: CutoverRecord) => boolean) => all().findLast(fits)
  const isOf = (move: string) => (cutover: CutoverRecord) => cutover.moves.some(({ name }) => name === move)
  const add = (cutover: Omit<CutoverRecord, 'outcome' | 'pauseMs'>) => {
    if (state().cutovers.has(cutover.id)) throw new Error(`The cutover ${cutover.id} stands already.`)
    const moves = cutover.moves.toSorted((a, b) => (a.name < b.name ? -1 : 1))
    state().cutovers.set(cutover.id, { ...cutover, moves, outcome: null, pauseMs: null })
  }
  const inWork = ({ direction }: Pick<CutoverRecord, 'direction'>): MoveState =>
    direction === 'forward' ? 'cutting-over' : 'rolling-back'
  return {
    begin: (cutover) =>
      atomically(state(), () => {
        if (state().operations.get(cutover.id)?.state !== 'running') {
          throw new ReplatformError('operation.interrupted', { message: `The operation ${cutover.id} has ended.` })
        }
        add(cutover)
        for (const { name } of cutover.moves) transition(state(), name, inWork(cutover))
      }),
    restore: (cutover) =>
      atomically(state(), () => {
        add(cutover)
        const change = { state: inWork(cutover), shouldRun: true, paused: null }
        for (const { name } of cutover.moves) setMove(state(), name, change)
      }),
    end: (cutover, end) =>
      atomically(state(), () => {
        const standing = state().cutovers.get(cutover.id)
        if (!standing || standing.outcome !== null) return
        state().cutovers.set(cutover.id, { ...standing, ...end })
        const committed = cutover.direction === 'forward' ? 'reversing' : 'rolled-back'
        for (const { name, stateBefore } of cutover.moves) {
          transition(state(), name, end.outcome === 'committed' ? committed : stateBefore)
        }
      }),
    unfinished: (move) => last((cutover) => isOf(move)(cutover) && cutover.outcome === null),
    allUnfinished: () => all().filter(({ outcome }) => outcome === null),
    lastOfWave: (wave) => last((cutover) => cutover.wave === wave),
    lastCommittedOfWave: (wave) =>
      last((cutover) => cutover.wave === wave && cutover.direction === 'forward' && cutover.outcome === 'committed'),
    lastTurn: () => Math.max(0, ...all().map(({ turn }) => turn)),
    last: (move) => last(isOf(move)),
    find: (id) => state().cutovers.get(id),
  }
}

function operationTable(state: () => ControlState): Tables['operations'] {
  const all = () => [...state().operations.values()]
  const get = (id: string) => {
    const found = state().operations.get(id)
    if (found) return found
    throw new ReplatformError('operation.unknown', { message: `There is no operation ${id}.` })
  }
  return {
    add: ({ claims, ...asked }) =>
      atomically(state(), () => {
        if (state().operations.has(asked.id)) throw new Error(`The operation ${asked.id} stands already.`)
        const finishedAt = asked.state === 'done' ? asked.startedAt : null
        const record = { ...asked, result: null, error: null, finishedAt }
        for (const move of claims) {
          const other = state().claims.get(move)
          if (other !== undefined) {
            const verb = state().operations.get(other)?.verb
            throw new ReplatformError('operation.running', { message: `${move}: ${verb} still runs.` })
          }
          state().claims.set(move, asked.id)
        }
        state().operations.set(asked.id, record)
        return record
      }),
    get,
    ofWave: (wave, moves, limit = 200) =>
      all()
        .filter((record) => record.wave === wave || (record.move !== null && moves.includes(record.move)))
        .slice(-limit),
    running: ({ move, wave }) =>
      all().filter((record) => record.move === move && record.wave === wave && record.state === 'running'),
    finish: (id, { result, error, at }) => {
      for (const [move, holder] of state().claims) if (holder === id) state().claims.delete(move)
      const record = state().operations.get(id)
      if (record?.state !== 'running') return false
      const ended = error === null ? 'done' : 'failed'
      state().operations.set(id, { ...record, state: ended, result, error, finishedAt: at })
      return true
    },
  }
}

function journalTable(state: () => ControlState): Tables['journal'] {
  const add = ({ name, ...step }: JournalStep, entry: Pick<JournalEntry, 'state' | 'startedAt' | 'ms'>) => {
    const id = state().journal.length + 1
    state().journal.push({ id, step: name, ...step, ...entry, errorCode: null })
    return id
  }
  return {
    started: (step, startedAt) => add(step, { state: 'running', startedAt, ms: null }),
    finished: (id, ms, errorCode) => {
      const entry = state().journal[id - 1]
      if (!entry) return
      state().journal[id - 1] = { ...entry, state: errorCode === null ? 'done' : 'failed', ms: tenths(ms), errorCode }
    },
    noted: (step, at) => void add(step, { state: 'done', startedAt: at, ms: 0 }),
    ofMove: (move, limit = 200) =>
      state()
        .journal.filter((entry) => entry.move === move)
        .slice(-limit),
    ofOperation: (operation) => state().journal.filter((entry) => entry.operation === operation),
  }
}

function auditTable(state: () => ControlState): Tables['audit'] {
  return {
    append: (entry) => void state().audit.push({ ...entry, origin: '', id: state().audit.length + 1 }),
    list: (limit = 200) => state().audit.slice(-limit),
    verify: () => unused('the chain of the audit log'),
  }
}

function incidentTable(state: () => ControlState): Tables['incidents'] {
  return {
    open: (incident) => {
      state().incidentCount += 1
      const opened = { id: state().incidentCount, ...incident }
      state().incidents.set(opened.id, opened)
      return opened
    },
    close: (id) => {
      const incident = state().incidents.get(id)
      if (!incident) throw new ReplatformError('incident.unknown', { message: `There is no open incident ${id}.` })
      state().incidents.delete(id)
      return incident
    },
    listOpen: () => [...state().incidents.values()],
  }
}

function moveOf(state: ControlState, name: string): MoveRecord {
  const found = state.moves.get(name)
  if (found) return found
  throw new ReplatformError('estate.unknown-move', { message: `There is no move "${name}".` })
}

function setMove(state: ControlState, name: string, change: Partial<MoveRecord>): MoveRecord {
  const changed = { ...moveOf(state, name), ...change }
  state.moves.set(name, changed)
  return changed
}

function transition(state: ControlState, name: string, to: MoveState): MoveRecord {
  assertTransition(moveOf(state, name).state, to)
  return setMove(state, name, { state: to })
}

/** All of it or nothing. */
function atomically<T>(state: ControlState, act: () => T): T {
  const before = copyOf(state)
  try {
    return act()
  } catch (thrown) {
    Object.assign(state, before)
    throw thrown
  }
}

function tenths(ms: number): number {
  return Math.round(ms * 10) / 10
}

function unused(what: string): never {
  throw new Error(`The simulation has no ${what}.`)
}
