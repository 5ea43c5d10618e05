import { durationMs, type Estate, type EstateWave } from './estate.ts'

/** The write pause that a wave may take when it names none. */
export const defaultPauseBudgetMs = 2_000

/** Moves that cut over together, by one decision. A move that no wave names is a wave of its own. */
export interface Wave {
  readonly name: string
  readonly moves: readonly string[]
  /** From the first hold to the decision. */
  readonly budgetMs: number
  /** The same for the way back, which may have everything to compare. */
  readonly rollbackBudgetMs: number
  /** As the estate file has it; null for a move that is a wave of its own. */
  readonly declared: EstateWave | null
}

/** Every move of the estate stands in exactly one: the waves of the file in their order, then the moves by themselves. */
export function wavesOf(estate: Estate): Wave[] {
  const declared = (estate.waves ?? []).map(toWave)
  const taken = new Set(declared.flatMap(({ moves }) => moves))
  const alone = Object.keys(estate.stores).filter((name) => !taken.has(name))
  return [...declared, ...alone.map(waveAlone)]
}

/** The wave of a move that the estate names. */
export function waveOf(estate: Estate, move: string): Wave {
  const declared = estate.waves?.find(({ moves }) => moves.includes(move))
  return declared ? toWave(declared) : waveAlone(move)
}

function toWave(declared: EstateWave): Wave {
  const { name, moves, pauseBudget, rollbackBudget } = declared
  const budgetMs = pauseBudget ? durationMs(pauseBudget) : defaultPauseBudgetMs
  return { name, moves, budgetMs, rollbackBudgetMs: rollbackBudget ? durationMs(rollbackBudget) : budgetMs, declared }
}

function waveAlone(move: string): Wave {
  const budgets = { budgetMs: defaultPauseBudgetMs, rollbackBudgetMs: defaultPauseBudgetMs }
  return { name: move, moves: [move], ...budgets, declared: null }
}
