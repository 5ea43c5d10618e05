/**
 * Goal: whatever fails, and wherever the coordinator dies, at most one side takes writes, the wave is all or nothing,
 * and what is decided stays decided.
 * Method: a simulated estate that checks the first at every single step; every verb of every step is made to fail, and
 * the coordinator is ended before and after every step, in turn. No clock of the machine is involved.
 */
import type { Decision } from '@replatform/core/connector'
import { ReplatformError } from '@replatform/core/errors'
import { expect, test } from 'vitest'
import { type Clock, systemClock } from './clock.ts'
import { type CutoverOptions, type CutoverOutcome, cutOver, recoverCutover } from './cutover.ts'
import type { CutoverParticipant, FlowVerbs } from './cutover-participant.ts'
import { type CutoverStep, planCutover, stepsOf } from './cutover-steps.ts'

class Killed extends Error {}

/** Time passes only when somebody sleeps or works. */
class SimulatedClock implements Clock {
  #now = 0
  now = () => this.#now
  wallTime = () => Date.UTC(2026, 0, 1) + this.#now
  sleep = async (ms: number) => void this.pass(ms)
  /** Here time passes in steps, and steps are looked at where they end. */
  timer = () => ({ elapsed: new Promise<void>(() => {}), cancel: () => {} })
  pass(ms: number): void {
    this.#now += ms
  }
}

class SimulatedStore {
  oldIsOpen = true
  newIsOpen = false
  pointsTo: 'old' | 'new' = 'old'
  isHeld = false
  left = 3
  epochs = 0
  decisionOnTarget: Decision | null = null
}

function set(store: SimulatedStore, state: Partial<SimulatedStore>): void {
  Object.assign(store, state)
}

class SimulatedEstate {
  readonly clock = new SimulatedClock()
  readonly stores: SimulatedStore[]
  readonly log: string[] = []
  readonly decisions = new Map<string, Decision>()
  /** `step/verb` that fails once, or for ever. */
  fault: { readonly at: string; readonly isLasting: boolean; readonly error: Error } | null = null
  killAt: string | null = null
  slowStep: string | null = null
  /** What the comparison predicts for the pause. */
  pauseSeconds: number | null = null

  constructor(count: number) {
    this.stores = Array.from({ length: count }, () => new SimulatedStore())
  }

  options(overrides: Partial<CutoverOptions> = {}): CutoverOptions {
    return {
      id: 'wave-1',
      direction: 'forward',
      turn: 1,
      budgetMs: 2_000,
      participants: this.stores.map((store, i) => this.#participant(store, `store-${i}`)),
      decisions: {
        decide: async (decision) => {
          this.#enter('decide')
          const standing = this.decisions.get(decision.id) ?? decision
          this.decisions.set(decision.id, standing)
          return standing
        },
        read: async (id) => this.decisions.get(id),
      },
      journal: {
        started: (step) => this.#killHere(`before ${step.name}`),
        finished: (step) => this.#killHere(`after ${step.name}`),
        failed: () => {},
      },
      clock: this.clock,
      ...overrides,
    }
  }

  #killHere(at: string): void {
    this.log.push(at)
    if (this.killAt === at) throw new Killed(at)
  }

  #enter(verb: string): void {
    this.clock.pass(1)
    if (this.slowStep === verb) this.clock.pass(10_000)
    for (const store of this.stores) {
      if (store.oldIsOpen && store.newIsOpen) throw new Error('SPLIT: both sides take writes')
      if (store.pointsTo === 'new' && !store.isHeld && !store.newIsOpen)
        throw new Error('the route points to a closed side')
    }
    if (this.fault?.at !== verb) return
    const { error, isLasting } = this.fault
    if (!isLasting) this.fault = null
    throw error
  }

  #participant(store: SimulatedStore, name: string): CutoverParticipant {
    const verb = async (what: string, effect: () => void = () => {}) => {
      this.#enter(what)
      effect()
      this.#enter(`${what}:answer`)
    }
    const equal = { scope: 'changed', at: '0/0', equal: true, seconds: 0, results: [] } as const
    const predicted = () => (this.pauseSeconds === null ? equal : { ...equal, pauseSeconds: this.pauseSeconds })
    const flow: FlowVerbs = {
      prepareFlow: () => verb('prepareFlow'),
      raiseEpoch: () => verb('raiseEpoch', () => store.epochs++),
      fence: (side) => verb(`fence ${side}`, () => set(store, { oldIsOpen: false })),
      unfence: (side) =>
        verb(`unfence ${side}`, () => {
          if (side === 'target' && store.decisionOnTarget?.outcome !== 'committed') throw new Error('opened undecided')
          if (side === 'source') store.oldIsOpen = true
          else store.newIsOpen = true
        }),
      barrier: async () => ({ position: '0/1' as never, at: '' }),
      remaining: async () => {
        await verb('remaining')
        return { count: Math.max(--store.left, 0), unit: 'bytes', exact: true }
      },
      compare: async () => {
        await verb('compare')
        return predicted()
      },
      settleAhead: () => verb('settleAhead'),
      settle: () => verb('settle'),
      markStart: () => verb('markStart'),
      recordDecision: (decision) => verb('recordDecision', () => set(store, { decisionOnTarget: decision })),
      cleanUp: () => verb('cleanUp'),
    }
    const routing = {
      name,
      writes: 'held' as const,
      assess: async () => [],
      hold: () => verb('hold', () => set(store, { isHeld: true })),
      point: (place: 'old' | 'new') => verb('point', () => set(store, { pointsTo: place })),
      release: () => verb('release', () => set(store, { isHeld: false })),
      where: async () => store.pointsTo,
      [Symbol.asyncDispose]: async () => {},
    }
    return { name, flow, back: flow, stop: () => verb('stop'), kill: async () => {}, routings: [routing] }
  }
}

function expectCutOver(estate: SimulatedEstate, outcome: CutoverOutcome): void {
  expect(outcome.decision.outcome).toBe('committed')
  for (const store of estate.stores) {
    expect(store).toMatchObject({ oldIsOpen: false, newIsOpen: true, pointsTo: 'new', isHeld: false })
  }
}

function expectAsBefore(estate: SimulatedEstate, outcome: CutoverOutcome): void {
  expect(outcome.decision.outcome).toBe('aborted')
  expect(outcome.error).toBeInstanceOf(ReplatformError)
  for (const store of estate.stores) {
    expect(store).toMatchObject({ oldIsOpen: true, newIsOpen: false, pointsTo: 'old', isHeld: false })
  }
}

const stores = 3
const planned = planCutover('forward')
const beforeDecision = planned.filter(({ stage }) => stage === 'before' || stage === 'pause').map(({ name }) => name)
const verbs = [
  'prepareFlow',
  'compare',
  'settleAhead',
  'hold',
  'fence source',
  'remaining',
  'stop',
  'raiseEpoch',
  'settle',
  'markStart',
].flatMap((verb) => [verb, `${verb}:answer`])
const verbsAfter = ['recordDecision', 'unfence target', 'point', 'release', 'cleanUp'].flatMap((verb) => [
  verb,
  `${verb}:answer`,
])

test('the steps that are journalled are the ones that a dry run prints', async () => {
  const estate = new SimulatedEstate(stores)
  expectCutOver(estate, await cutOver(estate.options()))
  const started = estate.log.filter((line) => line.startsWith('before ')).map((line) => line.slice(7))
  expect(started).toEqual(planned.map(({ name }) => name))
})

test('a comparison that would not fit into the pause is told before it begins', async () => {
  const estate = new SimulatedEstate(stores)
  estate.pauseSeconds = 2.5
  const outcome = await cutOver(estate.options())
  expectAsBefore(estate, outcome)
  expect(outcome.error?.code).toBe('cutover.budget-too-small')
  expect(estate.log).not.toContain('before hold')
  estate.pauseSeconds = 1.5
  expectCutOver(estate, await cutOver(estate.options({ id: 'another' })))
})

test.each(verbs)('a fault of "%s" before the decision leads back, for all stores', async (verb) => {
  const estate = new SimulatedEstate(stores)
  estate.fault = { at: verb, isLasting: false, error: new Error('cut') }
  expectAsBefore(estate, await cutOver(estate.options()))
})

test.each(verbsAfter)('a passing fault of "%s" after the decision is overcome', async (verb) => {
  const estate = new SimulatedEstate(stores)
  estate.fault = { at: verb, isLasting: false, error: new Error('cut') }
  expectCutOver(estate, await cutOver(estate.options()))
})

test('a lasting fault after the decision ends with an error, and a later recovery goes forward', async () => {
  const estate = new SimulatedEstate(stores)
  estate.fault = { at: 'unfence target', isLasting: true, error: new Error('down') }
  await expect(cutOver(estate.options())).rejects.toThrow()
  expect(estate.stores.every((store) => !store.oldIsOpen && !store.newIsOpen)).toBe(true)
  estate.fault = null
  expectCutOver(estate, await recoverCutover(estate.options()))
})

test('a decision whose answer is lost is not taken twice', async () => {
  const estate = new SimulatedEstate(stores)
  const options = estate.options()
  const lossy = {
    read: options.decisions.read,
    decide: async (decision: Decision) => {
      await options.decisions.decide(decision)
      throw new Error('answer lost')
    },
  }
  await expect(cutOver({ ...options, decisions: lossy })).rejects.toThrow('answer lost')
  expectCutOver(estate, await recoverCutover(options))
})

test.each(['hold', 'fence source', 'remaining', 'settle'])(
  'a pause that "%s" makes too long is aborted',
  async (verb) => {
    const estate = new SimulatedEstate(stores)
    estate.slowStep = verb
    const outcome = await cutOver(estate.options())
    expectAsBefore(estate, outcome)
    expect(outcome.error?.code).toBe('cutover.budget-exceeded')
  },
)

test('a target that never drains is aborted at the budget', async () => {
  const estate = new SimulatedEstate(stores)
  for (const store of estate.stores) store.left = Number.POSITIVE_INFINITY
  const outcome = await cutOver(estate.options())
  expectAsBefore(estate, outcome)
  expect(outcome.error?.code).toBe('cutover.budget-exceeded')
})

test('a step that never answers is ended at the budget, together with its mover', async () => {
  const estate = new SimulatedEstate(stores)
  const options = estate.options()
  const killed: string[] = []
  const participants = options.participants.map((participant) => ({
    ...participant,
    flow: { ...participant.flow, settle: () => new Promise<never>(() => {}) },
    kill: async () => void killed.push(participant.name),
  }))
  const timer = () => systemClock.timer(20)
  const clock = { now: estate.clock.now, wallTime: estate.clock.wallTime, sleep: estate.clock.sleep, timer }
  const outcome = await cutOver({ ...options, participants, clock })
  expectAsBefore(estate, outcome)
  expect(outcome.error?.code).toBe('cutover.budget-exceeded')
  expect(killed).toHaveLength(stores)
})

test('a coordinator that wakes up after somebody else has ended its cutover opens nothing', async () => {
  const estate = new SimulatedEstate(stores)
  expectCutOver(estate, await cutOver(estate.options({ id: 'later' })))
  estate.decisions.set('wave-1', { id: 'wave-1', outcome: 'aborted', at: '' })
  const late = estate.options({ isOurs: async () => false })
  await expect(recoverCutover(late)).rejects.toMatchObject({ code: 'epoch.superseded' })
  expect(estate.stores.every((store) => !store.oldIsOpen && store.newIsOpen)).toBe(true)
})

test('differences abort', async () => {
  const estate = new SimulatedEstate(stores)
  const options = estate.options()
  const result = {
    name: 'public.accounts',
    processed: 1,
    matching: 0,
    mismatched: 1,
    missing: 0,
    extra: 0,
    samples: [],
  }
  const report = { scope: 'changed', at: '0/1', equal: false, seconds: 0, results: [result] } as const
  const [first, ...others] = options.participants as [CutoverParticipant, ...CutoverParticipant[]]
  const differing = { ...first, flow: { ...first.flow, compare: async () => report } }
  const outcome = await cutOver({ ...options, participants: [differing, ...others] })
  expectAsBefore(estate, outcome)
  expect(outcome.error?.code).toBe('cutover.differences')
})

const moments = stepsOf('forward')
  .filter((step: CutoverStep) => step.stage !== 'abort')
  .flatMap(({ name }) => [`before ${name}`, `after ${name}`])

test.each(moments)('a coordinator that dies %s is recovered to one outcome', async (moment) => {
  const estate = new SimulatedEstate(stores)
  estate.killAt = moment
  // A process that is killed runs nothing more, so neither may its abort: the store refuses.
  const options = estate.options()
  let isDead = false
  const mortal: CutoverOptions = {
    ...options,
    journal: {
      ...options.journal,
      started: (step) => dieWith(() => options.journal.started(step)),
      finished: (step, ms) => dieWith(() => options.journal.finished(step, ms)),
    },
    decisions: {
      read: options.decisions.read,
      decide: async (decision) => {
        if (isDead) throw new Killed('dead')
        return options.decisions.decide(decision)
      },
    },
  }
  function dieWith(write: () => void | Promise<void>): void {
    if (isDead) throw new Killed('dead')
    try {
      void write()
    } catch (thrown) {
      isDead = true
      throw thrown
    }
  }
  await cutOver(mortal).catch(() => {})
  estate.killAt = null
  const wasDecided = estate.decisions.get('wave-1')?.outcome === 'committed'
  const outcome = await recoverCutover(estate.options())
  if (wasDecided) expectCutOver(estate, outcome)
  else expectAsBefore(estate, outcome)
  expect(wasDecided).toBe(!beforeDecision.some((name) => moment.endsWith(` ${name}`)) && moment !== 'before decide')
})
