import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { FileDecisionStore } from './file-decision-store.ts'

async function openStore() {
  const folder = await mkdtemp(join(tmpdir(), 'decisions-'))
  const path = join(folder, 'decisions')
  const store = await FileDecisionStore.open(path)
  return { store, path, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) }
}

const committed = (id: string) => ({ id, outcome: 'committed', at: '2026-01-01T00:00:00.000Z' }) as const
const aborted = (id: string) => ({ id, outcome: 'aborted', at: '2026-01-01T00:00:01.000Z' }) as const

test('the first decision stands, whatever comes later', async () => {
  await using opened = await openStore()
  const { store } = opened
  expect(await store.read('a')).toBeUndefined()
  expect(await store.decide(committed('a'))).toEqual(committed('a'))
  expect(await store.decide(aborted('a'))).toEqual(committed('a'))
  expect(await store.read('a')).toEqual(committed('a'))
  expect(await store.read('b')).toBeUndefined()
})

test('those who decide at the same time agree', async () => {
  await using opened = await openStore()
  const other = await FileDecisionStore.open(opened.path)
  for (let round = 0; round < 20; round++) {
    const id = `round-${round}`
    const answers = await Promise.all([
      opened.store.decide(committed(id)),
      other.decide(aborted(id)),
      opened.store.decide(aborted(id)),
      other.decide(committed(id)),
    ])
    expect(new Set(answers.map(({ outcome }) => outcome)).size).toBe(1)
    expect(await other.read(id)).toEqual(answers[0])
  }
  expect((await readdir(opened.path)).filter((name) => !name.endsWith('.json'))).toEqual([])
})

test('what a killed process had only half written is no decision', async () => {
  await using opened = await openStore()
  await writeFile(join(opened.path, '.0000.tmp'), '{"id":"a","outc')
  expect(await opened.store.read('a')).toBeUndefined()
  expect(await opened.store.decide(aborted('a'))).toEqual(aborted('a'))
})

test('an id cannot name a file elsewhere', async () => {
  await using opened = await openStore()
  await expect(opened.store.decide(committed('../a'))).rejects.toMatchObject({ code: 'internal.invariant' })
})
