import type { LandingZone } from '@replatform/core/landing-zone-estate'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Resource, TemplateGraph } from '../template/template-graph.ts'
import { graphOf } from '../test-fixtures/graph-of.ts'
import { patienceMs, type WalletOptions, walletBlueprint } from '../test-fixtures/wallet-estate.ts'
import { differencesOf } from './differences.ts'
import { type BuiltEnvironment, separationFindings, sharedBetween } from './separation.ts'

/**
 * Goal: what one environment shares with another is found, whether it is named, allowed, routed or typed by hand. Method:
 * both environments of the example, in accounts of their own and in one, and then with one resource changed.
 */
const built = (options: WalletOptions): BuiltEnvironment => {
  const blueprint = walletBlueprint(options)
  return { blueprint, graph: graphOf(blueprint) }
}
const inOneAccount = (zone: LandingZone): LandingZone => {
  const { production, staging } = zone.environments
  if (!production || !staging) throw new Error('The example has no such environments.')
  return { ...zone, environments: { production, staging: { ...staging, account: production.account } } }
}
const phase = 'transition'
let production: BuiltEnvironment
let staging: BuiltEnvironment
let neighbour: BuiltEnvironment
beforeAll(() => {
  production = built({ phase })
  staging = built({ phase, environment: 'staging' })
  neighbour = built({ phase, environment: 'staging', change: inOneAccount })
}, patienceMs)

const changed = (
  { blueprint, graph }: BuiltEnvironment,
  type: string,
  change: (resource: Resource) => object,
): BuiltEnvironment => {
  const [resource] = graph.ofType(type)
  if (!resource) throw new Error(`There is no ${type}.`)
  return { blueprint, graph: graph.with({ ...resource, properties: { ...resource.properties, ...change(resource) } }) }
}
const kinds = (one: BuiltEnvironment, other: BuiltEnvironment) =>
  sharedBetween(one, other).map(({ kind, what }) => `${kind} ${what}`)

describe('environments of one description share nothing', () => {
  test('in accounts of their own', () => {
    expect(sharedBetween(production, staging)).toEqual([])
  })

  test('in one account, where names and rights could meet', () => {
    expect(sharedBetween(production, neighbour)).toEqual([])
  })

  test('and each public name stands in its own zone', () => {
    const hosts = [production, staging].map(({ blueprint }) => blueprint.services.find(({ host }) => host)?.host)
    expect(hosts).toEqual(['api.pay.wallet.example', 'api.staging.wallet.example'])
  })
})

describe('what they share is a blocker', () => {
  test.each<[string, string, () => BuiltEnvironment, () => BuiltEnvironment]>([
    [
      'a key of the other account',
      'account 111111111111',
      () => production,
      () =>
        changed(staging, 'AWS::RDS::DBInstance', () => ({
          KmsKeyId: 'arn:aws:kms:ap-southeast-1:111111111111:key/0f8fad5b',
        })),
    ],
    [
      'a rule for the other network',
      'network 10.20.0.0/20',
      () => production,
      () => changed(staging, 'AWS::EC2::SecurityGroupIngress', () => ({ CidrIp: '10.20.0.0/20' })),
    ],
    [
      'a bucket of one name',
      'name AWS::S3::Bucket wallet-state',
      () => changed(production, 'AWS::S3::Bucket', () => ({ BucketName: 'wallet-state' })),
      () => changed(staging, 'AWS::S3::Bucket', () => ({ BucketName: 'wallet-state' })),
    ],
    [
      'a role of one name in one account',
      'name AWS::IAM::Role mover',
      () => changed(production, 'AWS::IAM::Role', () => ({ RoleName: 'mover' })),
      () => changed(neighbour, 'AWS::IAM::Role', () => ({ RoleName: 'mover' })),
    ],
    [
      'a right on secrets of one name in one account',
      'right arn:aws:secretsmanager:ap-southeast-1:111111111111:secret:service/wallet/*',
      () => changed(production, 'AWS::IAM::Policy', readsWallet),
      () => changed(neighbour, 'AWS::IAM::Policy', readsWallet),
    ],
    [
      'a zone of names',
      'domain pay.wallet.example',
      () => production,
      () => changed(staging, 'AWS::Route53::HostedZone', () => ({ Name: 'pay.wallet.example' })),
    ],
  ])('%s', (_, what, one, other) => {
    expect(kinds(one(), other())).toContain(what)
    expect(separationFindings(sharedBetween(one(), other())).map(({ id, severity }) => `${id} ${severity}`)).toEqual([
      'landing-zone.environments-share blocker',
    ])
  })

  test('a bucket and a role of one name are not the same thing in two accounts, but for the bucket', () => {
    const named = (one: BuiltEnvironment) => changed(one, 'AWS::IAM::Role', () => ({ RoleName: 'mover' }))
    expect(sharedBetween(named(production), named(staging))).toEqual([])
  })
})

function readsWallet(): object {
  const Resource = 'arn:aws:secretsmanager:ap-southeast-1:111111111111:secret:service/wallet/*'
  return { PolicyDocument: { Statement: [{ Effect: 'Allow', Action: 'secretsmanager:GetSecretValue', Resource }] } }
}

test('in what they differ is said', () => {
  const differences = new Map(
    differencesOf([production.blueprint, staging.blueprint]).map(({ aspect, values }) => [aspect, values]),
  )
  expect(differences.get('ways out (NAT)')).toEqual({ production: '3', staging: '1' })
  expect(differences.get('machines, at least')?.staging).toBe('gateway 1, wallet 1, merchants 1')
  expect(differences.get('off-hours')?.staging).toContain('20:00 to 07:00')
  expect(differences.get('data')).toEqual({ production: 'live', staging: 'not said; no live card numbers' })
  expect([...differences.keys()]).toEqual(expect.arrayContaining(['account', 'network', 'domain']))
})

test('a template that is empty shares nothing', () => {
  expect(sharedBetween(production, { ...staging, graph: new TemplateGraph([]) })).toEqual([])
})
