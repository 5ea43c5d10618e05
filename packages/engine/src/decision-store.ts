import type { Decision } from '@replatform/core/connector'

/**
 * Where the outcome of a cutover is fixed. `decide` is a compare-and-set: the first decision for an id stands for
 * ever and is returned to everyone who comes later, whatever they wanted. It returns only when the record would
 * survive a power cut.
 */
export interface DecisionStore {
  decide(decision: Decision): Promise<Decision>
  read(id: string): Promise<Decision | undefined>
}
