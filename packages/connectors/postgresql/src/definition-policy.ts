import { ReplatformError } from '@replatform/core/errors'
import type { SchemaChanges } from '@replatform/core/estate'
import type { DefinitionChange } from './schema-description.ts'
import { NotCarried, tableStatements } from './schema-diff.ts'

/** What is to be done with a change, and noted of it. */
export interface DefinitionOutcome {
  readonly outcome: 'carried' | 'ignored' | 'not-carried'
  readonly statements: readonly string[]
}

/**
 * By the store's policy; throws `postgresql.schema-changed` where the move must not go on. What is no table (views,
 * functions, types, comments) changes no row: it is noted, and reported by the assessment, under every policy.
 */
export function decide(change: DefinitionChange, policy: SchemaChanges): DefinitionOutcome {
  if (change.kind === 'other') return { outcome: 'not-carried', statements: [] }
  if (policy === 'ignore') return { outcome: 'ignored', statements: describe(change) }
  if (policy === 'stop') throw stopped(change, `${describe(change).join('; ')}.`)
  if (change.kind === 'table') return { outcome: 'carried', statements: carried(change) }
  throw stopped(change, reasons[change.kind])
}

const reasons = {
  filled: 'it was made together with rows, which are not in the change stream.',
  keyless: 'it has no primary key, so its updates could not be told apart.',
  rewritten: 'the source computed its rows anew, which the change stream does not tell.',
  unknown: 'it could not be noted.',
} as const

function carried(change: DefinitionChange): string[] {
  try {
    return tableStatements(change.was, change.nowIs)
  } catch (thrown) {
    if (thrown instanceof NotCarried) throw stopped(change, `${thrown.message}.`)
    throw thrown
  }
}

function describe(change: DefinitionChange): string[] {
  try {
    const statements = change.kind === 'table' ? tableStatements(change.was, change.nowIs) : []
    return statements.length > 0 ? statements : [`${change.tag} of ${change.object}`]
  } catch {
    return [`${change.tag} of ${change.object}`]
  }
}

function stopped({ tag, object }: DefinitionChange, what: string): ReplatformError {
  return new ReplatformError('postgresql.schema-changed', {
    message: `The source ran ${tag} on ${object} while the move goes on: ${what}`,
  })
}
