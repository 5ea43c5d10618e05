import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LandingStore } from '@replatform/core/landing-zone-estate'
import type { CloudAssembly } from 'aws-cdk-lib/cx-api'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { synthesize } from '../stacks/environment.ts'
import { TemplateGraph } from '../template/template-graph.ts'
import { patienceMs, walletBlueprint } from '../test-fixtures/wallet-estate.ts'
import { assemblyIn, destructive, diffTemplates } from './template-diff.ts'

const folder = mkdtempSync(join(tmpdir(), 'template-diff-'))
const templates = (name: string, ...options: Parameters<typeof walletBlueprint>) =>
  synthesize(walletBlueprint(...options), join(folder, name))
let rehost: CloudAssembly
let transition: CloudAssembly
let replatform: CloudAssembly

beforeAll(() => {
  rehost = templates('rehost', { phase: 'rehost' })
  transition = templates('transition', { phase: 'transition' })
  replatform = templates('replatform')
}, patienceMs)
afterAll(() => rmSync(folder, { recursive: true }))

test('a folder from before can be read again, and changes nothing', () => {
  expect(diffTemplates(assemblyIn(join(folder, 'replatform')), replatform)).toEqual([])
})

test('the transition takes nothing away, and what it brings stays in the second phase', () => {
  expect(destructive(diffTemplates(rehost, transition))).toEqual([])
  const gone = diffTemplates(transition, replatform).filter(({ stack }) => stack === 'stores')
  expect(gone.every(({ change, logicalId }) => change === 'removed' && logicalId.includes('Machine'))).toBe(true)
  expect(gone.length).toBeGreaterThan(0)
})

test(
  'what replaces a store is flagged',
  () => {
    const older = (store: LandingStore | undefined) => ({ ...(store as LandingStore), version: '4.0.0' })
    const changed = templates('changed', {
      change: (zone) => ({ ...zone, stores: { ...zone.stores, profiles: older(zone.stores.profiles) } }),
    })
    const flagged = destructive(diffTemplates(replatform, changed)).map(({ type }) => type)
    expect(flagged).toContain('AWS::DocDB::DBCluster')
  },
  patienceMs,
)

test(
  'nothing of the migration is left when it is finalized, and nothing else goes with it',
  () => {
    const finalized = templates('finalized', { phase: 'finalized' })
    const graph = TemplateGraph.of(finalized)
    const ofMigration = (serves: readonly string[]) =>
      serves.some((id) => id === 'migration' || id.startsWith('migration.'))
    expect(graph.resources.filter(({ serves }) => ofMigration(serves))).toEqual([])
    expect(
      graph.resources.filter(({ properties }) => /migration/i.test(JSON.stringify(properties))).map(({ id }) => id),
    ).toEqual([])

    const before = TemplateGraph.of(replatform)
    const gone = diffTemplates(replatform, finalized).filter(({ change }) => change === 'removed')
    const others = gone.filter(({ stack, logicalId }) => {
      const resource = before.find(`${stack}.${logicalId}`)
      // The group and the rules of workers stand with all others.
      return !ofMigration(resource?.serves ?? []) && !logicalId.includes('Migration')
    })
    expect(others).toEqual([])
    expect(gone.length).toBeGreaterThan(10)
  },
  patienceMs,
)
