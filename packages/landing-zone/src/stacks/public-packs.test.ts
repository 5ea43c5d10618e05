import { spawnSync } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pythonEnvironment } from '@replatform/testkit/python-environment'
import { type App, Validations } from 'aws-cdk-lib'
import { AwsSolutionsChecks } from 'cdk-nag'
import { afterAll, expect, test } from 'vitest'
import { patienceMs, walletBlueprint } from '../test-fixtures/wallet-estate.ts'
import { buildApp, synthesize } from './environment.ts'

/** Goal: the packs that others keep find nothing that is not accepted with a reason. Method: all forms of store at once. */
const folder = mkdtempSync(join(tmpdir(), 'public-packs-'))
afterAll(() => rmSync(folder, { recursive: true }))

const everyForm = () =>
  walletBlueprint({
    phase: 'transition',
    change: (zone) => ({
      ...zone,
      stores: {
        ...zone.stores,
        queues: {
          engine: 'rabbitmq',
          becomes: 'amazon-mq-rabbitmq',
          cardData: 'none',
          observed,
          reason: 'Queues as they are.',
        },
        shared: { engine: 'files', becomes: 'efs', cardData: 'none', observed, reason: 'Files that machines mount.' },
        office: { engine: 'files', becomes: 'fsx', cardData: 'none', observed, reason: 'Files of the office.' },
        books: {
          engine: 'mysql',
          becomes: 'rds',
          availability: 'cluster',
          cardData: 'none',
          observed,
          reason: 'Bookkeeping.',
        },
      },
    }),
  })
const observed = { days: 30, cpuCores: 1, memoryGiB: 4, storageGiB: 50 }

test(
  'cdk-nag, AwsSolutions',
  () => {
    const outdir = join(folder, 'nag')
    const app = buildApp(everyForm(), outdir)
    Validations.of(app).addPlugins(new AwsSolutionsChecks(app))
    expect(complaintsOf(app, outdir)).toEqual([])
  },
  patienceMs,
)

test(
  'cfn-lint',
  async () => {
    const outdir = join(folder, 'lint')
    synthesize(everyForm(), outdir)
    const home = await pythonEnvironment({ name: 'cfn-lint', requirements: ['cfn-lint==1.58.0'] })
    const { stdout, stderr, status } = spawnSync(
      join(home, 'bin', 'python'),
      [
        '-c',
        'from cfnlint.runner import main; main()',
        '--format',
        'parseable',
        ...globSync(join(outdir, '*.template.json')),
      ],
      { encoding: 'utf8' },
    )
    expect({ status, found: stdout.trim() || stderr.trim() }).toEqual({ status: 0, found: '' })
  },
  patienceMs,
)

interface Report {
  readonly pluginReports: readonly {
    readonly violations: readonly {
      readonly ruleName: string
      readonly violatingConstructs: readonly { readonly constructPath: string }[]
    }[]
  }[]
}

/** What the pack found and nobody accepted there or above, as `rule at construct`. */
function complaintsOf(app: App, outdir: string): string[] {
  // It refuses the synthesis for what it names finding by finding (`IAM5[Resource::*]`); we accept rules, with reasons.
  expect(() => app.synth()).toThrow()
  const report = JSON.parse(readFileSync(join(outdir, 'validation-report.json'), 'utf8')) as Report
  const violations = report.pluginReports.flatMap((plugin) => plugin.violations)
  expect(violations.length).toBeGreaterThan(0)
  return violations.flatMap(({ ruleName, violatingConstructs }) => {
    const rule = ruleName.replace(/\[.*$/, '')
    const open = violatingConstructs.filter(({ constructPath }) => !isAccepted(app, constructPath, rule))
    return open.map(({ constructPath }) => `${rule} at ${constructPath}`)
  })
}

function isAccepted(app: App, path: string, rule: string): boolean {
  const construct = app.node.findAll().find(({ node }) => node.path === path)
  const scopes = construct?.node.scopes ?? []
  return scopes.some(({ node }) =>
    node.metadata.some(({ data }) => Object.keys(data ?? {}).includes(`Annotation::${rule}`)),
  )
}
