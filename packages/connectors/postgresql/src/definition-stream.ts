/** Changes of definitions as they come out of the change stream: rows of `replatform.definition`. */
import { cellStarts } from './change-batch.ts'
import { cell, cellEnd, type Relation, type Tuple } from './pgoutput.ts'
import type { DefinitionChange, TableDescription } from './schema-description.ts'

export function isDefinitionTable({ schema, name }: Relation): boolean {
  return schema === 'replatform' && name === 'definition'
}

/** Undefined where it was noted for another move of the same database. */
export function decodeDefinition(relation: Relation, row: Tuple, move: string): DefinitionChange | undefined {
  const starts = cellStarts(row, relation.columns.length)
  const texts = new Map(
    relation.columns.map(({ name }, i) => {
      const at = starts[i] as number
      return [name, row.data[at] === cell.text ? row.data.toString('utf8', at + 5, cellEnd(row.data, at)) : null]
    }),
  )
  if (texts.get('move') !== move) return undefined
  const json = (name: string) => JSON.parse(texts.get(name) ?? 'null') as TableDescription | null
  return {
    tag: texts.get('tag') ?? '',
    object: texts.get('object') ?? '',
    kind: texts.get('kind') as DefinitionChange['kind'],
    was: json('was'),
    nowIs: json('now_is'),
  }
}
