/** The seeded plans of `schema-workload.test.ts`, hundreds of them: rows and changes of the schema, interleaved. */
import assert from 'node:assert/strict'
import { findFailure } from '@replatform/connector-postgresql/test-fixtures/schema-workload'
import { startPostgresql } from '@replatform/testkit/postgresql-server'
import type { SoakOptions } from './soak.ts'

/** Under one move: a larger lot hides more behind the first that fails. */
const lot = 50

export async function soakSchema({ seeds, seed, log }: SoakOptions): Promise<object> {
  await using source = await startPostgresql({ major: 13 })
  await using target = await startPostgresql({ major: 17 })
  for (let from = 0; from < seeds; from += lot) {
    const some = Array.from({ length: Math.min(lot, seeds - from) }, (_, i) => (seed + from + i) % 2 ** 31)
    const failure = await findFailure({ source, target, name: `soak_${from}`, seeds: some })
    assert.equal(failure, undefined, failure)
    log(
      `${from + some.length} of ${seeds} seeds, from ${seed} on: equal to the source, and to one that was loaded anew`,
    )
  }
  return { seeds, differences: 0 }
}
