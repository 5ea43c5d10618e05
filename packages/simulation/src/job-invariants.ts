import type { OperationRecord } from '@replatform/control/operation-records'
import { isExclusive } from '@replatform/control/operation-rules'
import type { SimControl } from './sim-control.ts'
import type { World } from './world.ts'

type Outcome = 'committed' | 'aborted' | undefined

/** What must be true of the control database after each of its transactions. */
export class JobInvariants {
  readonly #world: World
  readonly #control: SimControl
  readonly #moves: readonly string[]
  readonly #outcomeOf: (cutover: string) => Outcome
  /** What people were told. */
  readonly #ends = new Map<string, OperationRecord['state']>()
  #looked = -1

  constructor(
    world: World,
    control: SimControl,
    { moves, outcomeOf }: { readonly moves: readonly string[]; readonly outcomeOf: (cutover: string) => Outcome },
  ) {
    this.#world = world
    this.#control = control
    this.#moves = moves
    this.#outcomeOf = outcomeOf
  }

  check(): void {
    const { version } = this.#control
    if (version === this.#looked) return
    this.#looked = version
    const operations = [...this.#control.state.operations.values()]
    this.#checkClaims(operations.filter(({ state }) => state === 'running'))
    for (const operation of operations) this.#checkEnd(operation)
    this.#checkRecords()
  }

  /** When everything is over: nothing that was asked for was forgotten. */
  checkEnd(): void {
    for (const { id, verb, state } of this.#control.state.operations.values()) {
      if (state === 'running') this.#world.violate('ends', `the ${verb} ${id} has not ended`)
    }
    for (const { name, state } of this.#control.state.moves.values()) {
      if (state === 'cutting-over' || state === 'rolling-back') {
        this.#world.violate('ends', `${name} is ${state} although nothing runs`)
      }
    }
  }

  #checkClaims(running: readonly OperationRecord[]): void {
    const exclusive = running.filter(({ verb }) => isExclusive(verb))
    for (const move of this.#moves) {
      const [first, second] = exclusive.filter((operation) => operation.move === null || operation.move === move)
      if (first && second) {
        this.#world.violate('one-operation', `${first.verb} ${first.id} and ${second.verb} ${second.id} run at once`)
      }
    }
  }

  #checkEnd({ id, verb, state, error }: OperationRecord): void {
    if (state === 'running') return
    const before = this.#ends.get(id)
    if (before === state) return
    this.#ends.set(id, state)
    if (before) this.#world.violate('end-stands', `${verb} ${id} had ended as ${before}, now it is ${state}`)
    if (verb !== 'cutover' && verb !== 'rollback') return
    const outcome = this.#outcomeOf(id)
    if (state === 'done' && outcome !== 'committed') {
      this.#world.violate('told-truly', `${verb} ${id} is said to be done, its decision is ${outcome}`)
    }
    if (error?.code === 'cutover.aborted' && outcome !== 'aborted') {
      this.#world.violate('told-truly', `${verb} ${id} is said to be aborted, its decision is ${outcome}`)
    }
    const isLeftOpen = [...this.#control.state.moves.values()].some(({ paused }) => paused)
    if (state === 'failed' && outcome === 'committed' && !isLeftOpen) {
      this.#world.violate('told-truly', `${verb} ${id} is said to have failed: ${error?.message}`)
    }
  }

  /** A cutover whose record is closed ended as its decision says; moves of a wave are in one state. */
  #checkRecords(): void {
    const { cutovers, moves } = this.#control.state
    for (const { id, outcome } of cutovers.values()) {
      if (outcome === null || outcome === this.#outcomeOf(id)) continue
      this.#world.violate('told-truly', `${id} is recorded as ${outcome}, its decision is ${this.#outcomeOf(id)}`)
    }
    const states = new Set([...moves.values()].map(({ state }) => state))
    if (states.size > 1) this.#world.violate('one-state', `the moves of the wave are ${[...states].join(' and ')}`)
  }
}
