import type { ControlRecords } from '@replatform/control/control-records'
import type { DecisionStore } from '@replatform/engine/decision-store'
import { type ControlState, copyOf, emptyState, type Tables, tablesOver } from './control-tables.ts'
import type { JobTable } from './job-table.ts'
import { type Network, SimServer } from './network.ts'
import type { SimProcess } from './sim-process.ts'

export interface SimControlOptions {
  readonly network: Network
  readonly jobs: JobTable
  readonly isEmbedded?: boolean
}

/** A server answers within so much, or not at all. */
const slowestMs = 250

/**
 * A control database: records, jobs and decisions in one place. A server is asked over the network. An embedded one runs
 * in its worker and does not flush: a power cut may take it back to an earlier state.
 */
export class SimControl {
  readonly server: SimServer
  readonly jobs: JobTable
  readonly #network: Network
  readonly #isEmbedded: boolean
  readonly #tables: Tables
  /** Counts transactions. */
  version = 0
  #state: ControlState = emptyState()
  #earlier: { readonly state: ControlState; readonly jobs: ReturnType<JobTable['copy']> } | null = null

  constructor(name: string, { network, jobs, isEmbedded = false }: SimControlOptions) {
    this.server = new SimServer(name, slowestMs)
    this.#isEmbedded = isEmbedded
    this.jobs = jobs
    this.#network = network
    this.#tables = tablesOver(() => this.#state)
  }

  /** Told of each before it has its effect. */
  onTransaction: ((by: SimProcess) => void) | null = null

  /** For those who judge the world from outside. */
  get state(): ControlState {
    return this.#state
  }

  /** What it falls back to should it lose its end. */
  writeBack(): void {
    this.#earlier = { state: copyOf(this.#state), jobs: this.jobs.copy() }
  }

  /** Returns whether there was something to lose. */
  loseEnd(): boolean {
    if (!this.#earlier) return false
    this.version += 1
    this.#state = copyOf(this.#earlier.state)
    this.jobs.restore(this.#earlier.jobs)
    return true
  }

  records(process: SimProcess): ControlRecords {
    const faces = Object.entries(this.#tables).map(([name, table]) => [name, this.#face(process, name, table)])
    return Object.fromEntries(faces) as unknown as ControlRecords
  }

  /** As in `PostgresqlDecisionStore`: the first row of an id stands. */
  decisions(process: SimProcess): DecisionStore {
    const read = (id: string) => this.#state.decisions.get(id)
    return {
      decide: (decision) =>
        this.ask(process, 'decide', () => {
          if (!read(decision.id)) this.#state.decisions.set(decision.id, decision)
          return read(decision.id) ?? decision
        }),
      read: (id) => this.ask(process, 'read the decision', () => read(id)),
    }
  }

  /** One transaction. */
  ask<T>(process: SimProcess, what: string, act: () => T): Promise<T> {
    const transact = () => {
      this.version += 1
      this.onTransaction?.(process)
      return act()
    }
    if (this.#isEmbedded) return process.io(this.#network.latency(), transact)
    return this.#network.request(process, { to: this.server, what, act: transact })
  }

  #face(process: SimProcess, name: string, table: object): object {
    const verbs = Object.entries(table).map(([verb, act]) => [
      verb,
      (...args: unknown[]) => this.ask(process, `${name}.${verb}`, () => act(...args)),
    ])
    return Object.fromEntries(verbs)
  }
}
