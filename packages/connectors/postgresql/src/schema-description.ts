/** A table as the source's event triggers describe it; see `schema-capture.ts`, which writes this as JSON. */
export interface TableDescription {
  readonly schema: string
  readonly name: string
  /** Ordinary or partitioned. */
  readonly kind: 'r' | 'p'
  readonly persistence: 'p' | 'u'
  readonly owner: string
  /** `SELECT TO app WITH GRANT OPTION`, and so on. */
  readonly grants: readonly string[]
  readonly identity: 'd' | 'i' | 'f' | 'n'
  readonly identityIndex: string | null
  readonly partitionKey: string | null
  readonly bound: string | null
  /** Quoted names. */
  readonly parents: readonly string[]
  readonly columns: readonly ColumnDescription[]
  readonly constraints: readonly ConstraintDescription[]
  /** Those that no constraint brings along. */
  readonly indexes: readonly { readonly name: string; readonly def: string }[]
  readonly sequences: readonly SequenceDescription[]
}

export interface ColumnDescription {
  /** Stays the same when the column is renamed. */
  readonly num: number
  readonly name: string
  readonly type: string
  readonly notNull: boolean
  readonly default: string | null
  readonly generated: boolean
  readonly identity: '' | 'a' | 'd'
  /** Not only taken over from a parent. */
  readonly isLocal: boolean
  readonly collation: string | null
  /** What rows have that were there before the column. */
  readonly missing: string | null
  readonly hasMissing: boolean
}

export interface ConstraintDescription {
  readonly name: string
  readonly type: 'p' | 'u' | 'c' | 'f' | 'x'
  readonly def: string
  readonly isLocal: boolean
}

export interface SequenceDescription {
  readonly schema: string
  readonly name: string
  readonly column: string
  readonly isIdentity: boolean
  readonly options: string
}

/** One change of a definition, as it arrives in the change stream. */
export interface DefinitionChange {
  readonly tag: string
  readonly object: string
  /**
   * `table`: `was` and `nowIs` say what became of it. `filled`: made together with rows. `keyless`: made without
   * anything that identifies its rows, so it is not published. `rewritten`: its rows were, by the source alone. `other`: not a table. `unknown`: it could not be noted; `object` is the reason's SQLSTATE.
   */
  readonly kind: 'table' | 'filled' | 'keyless' | 'rewritten' | 'other' | 'unknown'
  readonly was: TableDescription | null
  readonly nowIs: TableDescription | null
}
