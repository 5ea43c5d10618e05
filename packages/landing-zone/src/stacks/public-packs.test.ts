import { spawnSync } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pythonEnvironment } from '@replatform/testkit/python-environment'
import { type App, Validations } from 'aws-cdk-lib'
import { AwsSolutionsChecks } from 'cdk-nag'
import { afterAll, expect, test } from 'vitest'
import { regionFacts } from '../plan/region-facts.ts'
import { everyForm, patienceMs } from '../test-fixtures/wallet-estate.ts'
import { buildApp, synthesize } from './environment.ts'

/** Goal: the packs that others keep find nothing that is not accepted with a reason. Method: all forms of store at once. */
const folder = mkdtempSync(join(tmpdir(), 'public-packs-'))
afterAll(() => rmSync(folder, { recursive: true }))

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

/** Goal: what we say that a region lacks is what CloudFormation has no type for there, and nothing else. */
test(
  'facts about regions',
  async () => {
    const home = await pythonEnvironment({ name: 'cfn-lint', requirements: ['cfn-lint==1.58.0'] })
    const [folderOfTypes] = globSync(join(home, 'lib/python*/site-packages/cfnlint/data/schemas/providers'))
    const lacking = Object.keys(regionFacts).map((region) => {
      const types = JSON.parse(readFileSync(join(String(folderOfTypes), `${region}.json`), 'utf8')) as object
      return [region, Object.keys(typeOf).filter((service) => !(String(typeOf[service]) in types))] as const
    })
    expect(Object.fromEntries(lacking)).toEqual(
      Object.fromEntries(Object.entries(regionFacts).map(([region, { lacks }]) => [region, lacks])),
    )
  },
  patienceMs,
)

const typeOf: Readonly<Record<string, string>> = {
  'rds': 'AWS::RDS::DBInstance',
  'documentdb': 'AWS::DocDB::DBCluster',
  'elasticache': 'AWS::ElastiCache::ReplicationGroup',
  'amazon-mq-activemq': 'AWS::AmazonMQ::Broker',
  'amazon-mq-rabbitmq': 'AWS::AmazonMQ::Broker',
  'opensearch': 'AWS::OpenSearchService::Domain',
  's3': 'AWS::S3::Bucket',
  'efs': 'AWS::EFS::FileSystem',
  'fsx': 'AWS::FSx::FileSystem',
}

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
