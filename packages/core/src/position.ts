declare const brand: unique symbol

/**
 * A place in a source's history, in the engine's own notation (LSN, GTID set, resume token, offset).
 * Only the connector that made it can read it: to everybody else it is an opaque text that may be stored,
 * shown and handed back. Order is the connector's business, since GTID sets are only partially ordered.
 */
export type Position = string & { readonly [brand]: 'Position' }

export function position(text: string): Position {
  return text as Position
}
