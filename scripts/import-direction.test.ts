import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

/** Goal: the linter holds the direction of imports between rooms. Method: probes in a folder laid out like ours. */
const allowed = [
  ['packages/core/src/probe.ts', './errors.ts'],
  ['packages/core/src/probe.ts', 'typebox'],
  ['packages/engine/src/probe.ts', '@replatform/core/errors'],
  ['packages/connectors/postgresql/src/probe.ts', '@replatform/engine/clock'],
  ['packages/connectors/postgresql/src/probe.test.ts', '@replatform/testkit/rds'],
  ['packages/control/src/probe.ts', '@replatform/core/errors'],
  ['packages/control/src/probe.test.ts', '@replatform/testkit/rds'],
  ['packages/testkit/src/probe.ts', '@replatform/engine/clock'],
  ['packages/simulation/src/probe.ts', '@replatform/control/jobs'],
  ['packages/simulation/src/probe.test.ts', '@replatform/testkit/postgresql-server'],
  // The rig is the stage that an example plays on, not the product that it judges: only its tests, their helpers and
  // what sets the stage may use it, so that what proves a move still shares none of its code.
  ['examples/payments/src/probe.test.ts', '@replatform/testkit/redis-server'],
  ['examples/payments/src/sessions/test-probe.ts', '@replatform/testkit/redis-server'],
  ['examples/payments/src/stage/probe.ts', '@replatform/testkit/redis-server'],
  ['apps/cli/src/probe.ts', '@replatform/control/jobs'],
  ['apps/cli/src/verbs/probe.ts', '../output.ts'],
] as const

const refused = [
  ['packages/core/src/probe.ts', '@replatform/engine/clock'],
  ['packages/core/src/probe.ts', '../../engine/src/clock.ts'],
  ['packages/engine/src/probe.ts', '@replatform/control/jobs'],
  ['packages/engine/src/probe.test.ts', '@replatform/connector-postgresql/route'],
  ['packages/connectors/postgresql/src/probe.ts', '@replatform/testkit/rds'],
  ['packages/connectors/postgresql/src/probe.ts', '@replatform/control/jobs'],
  ['packages/connectors/postgresql/src/probe.ts', '../../pgbouncer/src/routing.ts'],
  ['packages/connectors/postgresql/src/deep/probe.ts', '../../../pgbouncer/src/routing.ts'],
  ['packages/connectors/pgbouncer/src/probe.test.ts', '@replatform/connector-postgresql/route'],
  ['packages/control/src/probe.ts', '@replatform/connector-postgresql/route'],
  ['packages/testkit/src/probe.ts', '@replatform/control/jobs'],
  ['packages/simulation/src/probe.ts', '@replatform/connector-postgresql/route'],
  ['packages/simulation/src/probe.ts', '@replatform/testkit/postgresql-server'],
  ['apps/cli/src/probe.ts', '../../../packages/core/src/errors.ts'],
  ['apps/demo/src/probe.ts', '../../../examples/payments/src/judge.ts'],
  ['examples/payments/src/probe.ts', '@replatform/core/errors'],
  ['examples/payments/src/probe.ts', '@replatform/testkit/redis-server'],
  ['examples/payments/src/probe.test.ts', '@replatform/core/errors'],
  ['examples/payments/src/stage/probe.ts', '@replatform/core/errors'],
  ['examples/payments/src/probe.ts', '../../../packages/core/src/errors.ts'],
] as const

const folder = mkdtempSync(join(tmpdir(), 'import-direction-'))
let report: string

beforeAll(() => {
  copyFileSync('biome.json', join(folder, 'biome.json'))
  for (const [probe, index] of [...allowed, ...refused].map((probe, index) => [probe, index] as const)) {
    const path = join(folder, numbered(probe[0], index))
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, `import { probe } from '${probe[1]}'\n\nprobe()\n`)
  }
  const args = [
    'lint',
    '--only=style/noRestrictedImports',
    '--vcs-enabled=false',
    '--reporter=github',
    '--max-diagnostics=none',
  ]
  report = spawnSync('biome', args, { cwd: folder, encoding: 'utf8' }).stdout
})
afterAll(() => rmSync(folder, { recursive: true }))

test.each(allowed.map((probe, index) => [...probe, index] as const))('%s may import %s', (path, _, index) => {
  expect(report).not.toContain(numbered(path, index))
})

test.each(refused.map((probe, index) => [...probe, index] as const))('%s must not import %s', (path, _, index) => {
  expect(report).toContain(numbered(path, allowed.length + index))
})

function numbered(path: string, index: number): string {
  return path.replace('probe', `probe-${index}-`)
}
