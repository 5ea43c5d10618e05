import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LandingStore } from '@replatform/core/landing-zone-estate'
import type { CloudAssembly } from 'aws-cdk-lib/cx-api'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { synthesize } from '../stacks/environment.ts'
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
