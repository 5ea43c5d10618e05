import { durationMs, type Estate, type EstateWave } from './estate.ts'

/** The write pause that a wave may take when it names none. */
export const defaultPauseBudgetMs = 2_000

/** Moves that cut over together, by one decision. A move that no wave names is a wave of its own. */
export interface Wave {
  readonly name: string
  readonly moves: readonly string[]
  /** From the first hold to the decision. */
  readonly budgetMs: number
  /** As the estate file has it; null for a move that is a wave of its own. */
  readonly declared: EstateWave | null
}

/** Every move of the estate stands in exactly one: the waves of the file in their order, then the moves by themselves. */
export function wavesOf(estate: Estate): Wave[] {
  const declared = (estate.waves ?? []).map(toWave)
  const taken = new Set(declared.flatMap(({ moves }) => moves))
  const alone = Object.keys(estate.stores).filter((name) => !taken.has(name))
  return [
    ...declared,
    ...alone.map((name) => ({ name, moves: [name], budgetMs: defaultPauseBudgetMs, declared: null })),
  ]
}

/** The wave of a move that the estate names. */
export function waveOf(estate: Estate, move: string): Wave {
  const declared = estate.waves?.find(({ moves }) => moves.includes(move))
  return declared ? toWave(declared) : { name: move, moves: [move], budgetMs: defaultPauseBudgetMs, declared: null }
}

function toWave(declared: EstateWave): Wave {
  const { name, moves, pauseBudget } = declared
  return { name, moves, budgetMs: pauseBudget ? durationMs(pauseBudget) : defaultPauseBudgetMs, declared }
}
