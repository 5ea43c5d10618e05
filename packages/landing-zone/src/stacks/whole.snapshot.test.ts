import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { patienceMs, walletBlueprint } from '../test-fixtures/wallet-estate.ts'
import { stackNames, synthesize } from './environment.ts'

/**
 * Goal: whatever a change does to the templates is read by whoever reviews it. Method: production, in the phase in which
 * everything stands, one line for each value. After a change that is meant: `npx vitest run <this file> -u`, and read it.
 */
const folder = mkdtempSync(join(tmpdir(), 'whole-'))
afterAll(() => rmSync(folder, { recursive: true }))
const written = new Map<string, string>()
beforeAll(() => {
  const { stacks } = synthesize(walletBlueprint({ phase: 'transition' }), folder)
  for (const { id, template } of stacks) written.set(id, linesOf(template).join('\n'))
}, patienceMs)

test.each(stackNames)('%s', async (stack) => {
  const text = written.get(stack)
  expect(text).toContain('Resources.')
  await expect(`${text}\n`).toMatchFileSnapshot(`snapshots/${stack}.txt`)
})

test('values stand on lines of their own, under their whole path', () => {
  expect(linesOf({ a: { b: [1, { c: 'x' }], d: {} } })).toEqual(['a.b.0 = 1', 'a.b.1.c = "x"', 'a.d = {}'])
})

function linesOf(value: unknown, path = ''): string[] {
  const entries = value !== null && typeof value === 'object' ? Object.entries(value) : []
  if (entries.length === 0) return [`${path} = ${JSON.stringify(value)}`]
  return entries.flatMap(([key, item]) => linesOf(item, path ? `${path}.${key}` : key))
}
