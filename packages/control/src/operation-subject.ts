/** What is asked of: one move, or a wave as a whole. Exactly one of both is set. */
export interface OperationSubject {
  readonly move: string | null
  readonly wave: string | null
}

/** In words, for records that people read. Names hold no spaces, so that a move is never taken for a wave. */
export function subjectOf({ move, wave }: OperationSubject): string {
  return move ?? `wave ${wave}`
}
