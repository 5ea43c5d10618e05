/**
 * Goal: with changes of the schema in the middle of interleaved transactions, nested and rolled back, the streamed target
 * equals the source, and equals one that is loaded anew from it; in rows and in shape.
 * Method: twenty seeded plans, each in a schema of its own, under one move; the soak takes five hundred.
 */
import { type PostgresqlServer, startPostgresql } from '@replatform/testkit/postgresql-server'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { findFailure, planWorkload, shrink } from './test-fixtures/schema-workload.ts'

let source: PostgresqlServer
let target: PostgresqlServer

beforeAll(async () => {
  source = await startPostgresql({ major: 13 })
  target = await startPostgresql({ major: 17 })
})
afterAll(async () => {
  await source?.[Symbol.asyncDispose]()
  await target?.[Symbol.asyncDispose]()
})

const given = process.env.SCHEMA_WORKLOAD_SEED
const seeds = given ? [Number(given)] : Array.from({ length: 20 }, (_, i) => i + 1)

test('the streamed target equals the source and one that is loaded anew', { timeout: 300_000 }, async () => {
  expect(await findFailure({ source, target, name: 'workload', seeds })).toBeUndefined()
})

test('a failing plan is made smaller, down to the transactions that it takes', async () => {
  const plan = planWorkload(3)
  const culprits = new Set([2, 9])
  const fails = async (smaller: typeof plan) =>
    [...culprits].every((id) => smaller.some((step) => step.transaction === id))
  const smallest = await shrink(plan, fails, 200)
  expect(new Set(smallest.map((step) => step.transaction))).toEqual(culprits)
})
