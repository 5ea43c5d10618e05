import { ReplatformError } from '@replatform/core/errors'
import { isCarried } from './catalog.ts'
import type { Session } from './session.ts'
import { literal, qualified } from './sql.ts'

interface SequenceState {
  readonly schema: string
  readonly name: string
  readonly last: string
  readonly called: boolean
}

/** No change stream carries sequences: each is set on the target to where it stands on the source. Idempotent. */
export async function copySequences(source: Session, target: Session): Promise<number> {
  const sequences = await readSequences(source)
  const calls = sequences.map(
    ({ schema, name, last, called }) =>
      `SELECT pg_catalog.setval(${literal(qualified(schema, name))}::regclass, ${last}, ${called})`,
  )
  if (calls.length > 0) await target.query(calls.join('; '))
  const landed = new Map((await readSequences(target)).map((s) => [qualified(s.schema, s.name), s]))
  const wrong = sequences.find((s) => landed.get(qualified(s.schema, s.name))?.last !== s.last)
  if (wrong) {
    throw new ReplatformError('cutover.differences', {
      message: `Sequence ${wrong.schema}.${wrong.name} could not be set on the target.`,
    })
  }
  return sequences.length
}

async function readSequences(session: Session): Promise<SequenceState[]> {
  const { rows } = await session.query(
    `SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'S' AND ${isCarried} ORDER BY 1, 2`,
  )
  const names = rows as { schema: string; name: string }[]
  if (names.length === 0) return []
  const selects = names.map(
    ({ schema, name }, i) =>
      `SELECT ${i} AS i, last_value::text AS last, is_called AS called FROM ${qualified(schema, name)}`,
  )
  const states = await session.query(`${selects.join(' UNION ALL ')} ORDER BY 1`)
  return (states.rows as { last: string; called: string }[]).map((state, i) => ({
    ...(names[i] as { schema: string; name: string }),
    last: state.last,
    called: state.called === 't',
  }))
}
