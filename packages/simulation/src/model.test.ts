/**
 * Goal: the protocol of a cutover is right in every order of events, and the model that says so speaks of the same steps
 * as the code. Method: Spin searches the whole state space of docs/model/cutover.pml; models with one mistake must fail.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { stepsOf } from '@replatform/engine/cutover-steps'
import { expect, test } from 'vitest'

const run = promisify(execFile)
const model = readFileSync(new URL('../../../docs/model/cutover.pml', import.meta.url), 'utf8')

/** Spin's own words on the whole state space of a model. */
async function check(text: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'model-'))
  try {
    writeFileSync(join(folder, 'cutover.pml'), text)
    await run('spin', ['-a', 'cutover.pml'], { cwd: folder })
    await run('gcc', ['-O2', '-DSAFETY', '-w', '-o', 'pan', 'pan.c'], { cwd: folder })
    const { stdout } = await run('./pan', ['-m100000'], { cwd: folder })
    return stdout
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test('every step of the code is a step of the model, by the same name', () => {
  const inlines = [...model.matchAll(/^inline (\w+)\(/gm)].map(([, name]) => name)
  const steps = stepsOf('forward').map(({ name }) => name.replaceAll('-', '_'))
  expect(steps.filter((name) => !inlines.includes(name))).toEqual([])
})

test('the model holds in every order of events', { timeout: 300_000 }, async () => {
  const words = await check(model)
  expect(words).toMatch(/errors: 0/)
  expect(words).not.toMatch(/Search not completed/)
  expect(Number(/(\d+) states, stored/.exec(words)?.[1])).toBeGreaterThan(100_000)
})

test.each([
  ['nobody flushes the record', '  flush_record();\n  if', '  if'],
  ['a takeover commits', 'inline recover() {\n  abort();', 'inline recover() {\n  decide();'],
  [
    'the source is opened before the record',
    'inline recover() {\n  abort();',
    'inline recover() {\n  each(unfence_source); abort();',
  ],
  ['the decision overwrites', ':: visible == undecided -> visible = committed', ':: true -> visible = committed'],
  [
    'clients are released first',
    'each(unfence); each(point); each(release);',
    'each(release); each(unfence); each(point);',
  ],
  ['a target opens undecided', '    together(mark_return);', '    together(mark_return); each(unfence);'],
])('the model fails when %s', { timeout: 300_000 }, async (_, find, replace) => {
  expect(model.split(find)).toHaveLength(2)
  expect(await check(model.replace(find, replace))).toMatch(/errors: [1-9]/)
})
