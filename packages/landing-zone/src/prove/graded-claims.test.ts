import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { rules } from '../check/check.ts'
import { everyForm, walletBlueprint } from '../test-fixtures/wallet-estate.ts'
import { acceptanceScript } from './acceptance-script.ts'
import { claimsOf } from './claims.ts'
import { gradedClaimsOf } from './graded-claims.ts'

const blueprint = everyForm()
const graded = gradedClaimsOf(blueprint)

test('every claim has one grade and the command that shows it', () => {
  expect(new Set(graded.map(({ id }) => id)).size).toBe(graded.length)
  expect(graded.filter(({ claim, shownBy }) => claim.length < 10 || shownBy.length < 5)).toEqual([])
  const count = (grade: string) => graded.filter((claim) => claim.grade === grade).length
  expect(count('template-asserted')).toBe(rules.length + 1)
  expect([count('lab-run'), count('model-run')]).toEqual([1, 1])
  expect(count('needs-aws')).toBe(claimsOf(blueprint).length)
})

test('every managed store has something that only an account can show', () => {
  const ids = claimsOf(blueprint).map(({ id }) => id)
  const managed = blueprint.stores.filter(({ form }) => form !== 'ec2')
  expect(managed.filter(({ name }) => !ids.some((id) => id.startsWith(`store.${name}.`)))).toEqual([])
})

test('outside production nothing is claimed to stand twice', () => {
  const ids = claimsOf(walletBlueprint({ environment: 'staging' })).map(({ id }) => id)
  expect(ids.filter((id) => /available-twice|failover|-lost$/.test(id) && !id.startsWith('vpn.'))).toEqual([])
})

test('nothing here calls itself compliant', () => {
  const docs = ['30-landing-zone', '31-pci-dss', '32-landing-zone-compared'].map((name) =>
    readFileSync(new URL(`../../../../docs/${name}.md`, import.meta.url), 'utf8'),
  )
  const said = [...docs, acceptanceScript(blueprint), JSON.stringify(graded)].join('\n')
  expect(said.match(/[^\n]*\bcompliant\b[^\n]*/gi)).toBeNull()
})
