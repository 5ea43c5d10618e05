/**
 * What two environments would share, read from their templates: names of one account, rights on the other's things,
 * networks, accounts and zones of names. Keys, roles, secrets, buckets, networks and gateways that a template makes have
 * ids of their own; only a name or an address that somebody wrote can join them.
 */
import type { Finding } from '@replatform/core/finding'
import type { Blueprint } from '../plan/blueprint.ts'
import { overlaps, parseCidr } from '../plan/cidr.ts'
import { findingOn } from '../plan/finding-on.ts'
import type { Properties, Resource, TemplateGraph } from '../template/template-graph.ts'

export interface BuiltEnvironment {
  readonly blueprint: Blueprint
  readonly graph: TemplateGraph
}

export interface Shared {
  readonly kind: 'name' | 'right' | 'network' | 'account' | 'domain'
  readonly what: string
  /** The resource in the one environment that reaches the other. */
  readonly at: string
  readonly environments: readonly [string, string]
}

export function sharedBetween(one: BuiltEnvironment, other: BuiltEnvironment): Shared[] {
  const environments = [one.blueprint.environment, other.blueprint.environment] as const
  const isOneAccount = one.blueprint.settings.account === other.blueprint.settings.account
  return [
    ...sameNames(one, other, isOneAccount),
    ...(isOneAccount ? sameRights(one, other) : [...foreignAccount(one, other), ...foreignAccount(other, one)]),
    ...foreignNetwork(one, other),
    ...foreignNetwork(other, one),
    ...sameDomain(one, other),
  ].map((shared) => ({ ...shared, environments }))
}

/** A blocker: whoever breaks into the smaller one, or makes a mistake there, is in production. */
export function separationFindings(shared: readonly Shared[]): Finding[] {
  const evidence = shared.map(
    ({ kind, what, at, environments }) => `${environments.join(' and ')}: ${kind} ${what} (${at})`,
  )
  return findingOn([...new Set(evidence)], {
    id: 'landing-zone.environments-share',
    severity: 'blocker',
    title: 'Two environments share something that must be each one’s own (PCI-DSS 4.0.1, 6.5.3).',
    remedy: 'Give each its own account, network, domain and names.',
  })
}

type Found = Omit<Shared, 'environments'>

/** Names of buckets are the whole world's, all others an account's. */
function sameNames(one: BuiltEnvironment, other: BuiltEnvironment, isOneAccount: boolean): Found[] {
  const taken = new Set(other.graph.resources.flatMap((resource) => namesOf(resource, isOneAccount)))
  return one.graph.resources.flatMap((resource) =>
    namesOf(resource, isOneAccount)
      .filter((name) => taken.has(name))
      .map((what): Found => ({ kind: 'name', what, at: resource.id })),
  )
}

/** Properties that name the resource itself; what else ends so names something that AWS made or measures. */
const nameOfItself = /^(Name|\w+(Name|Identifier)|ReplicationGroupId|UserId|Id)$/
const namesOfOthers =
  /^(CACertificateIdentifier|DisplayName|UserName|(Metric|Service|Engine|Parameter|Attribute|Log\w*Group|Handler)\w*Name)$/

function namesOf({ type, properties }: Resource, isOneAccount: boolean): string[] {
  if (!isOneAccount && type !== 'AWS::S3::Bucket') return []
  if (sharedByNature.has(type)) return []
  return Object.entries(properties)
    .filter(([key, value]) => nameOfItself.test(key) && isWritten(value))
    .filter(([key]) => type === 'AWS::Logs::LogGroup' || !namesOfOthers.test(key))
    .map(([, value]) => `${type} ${value}`)
}

/** Names inside something that is each environment's own: records of its zone, policies of its roles, lists of its VPC. */
const sharedByNature = new Set([
  'AWS::EC2::PrefixList',
  'AWS::EC2::VPCEndpoint',
  'AWS::IAM::Policy',
  'AWS::Logs::MetricFilter',
  'AWS::CloudWatch::Alarm',
  'AWS::RDS::DBParameterGroup',
])

function isWritten(value: unknown): value is string {
  return typeof value === 'string' && !value.includes('«')
}

/** In one account a right on a name is a right on both environments' things of that name. */
function sameRights(one: BuiltEnvironment, other: BuiltEnvironment): Found[] {
  const given = new Set(other.graph.resources.flatMap(rightsOf))
  return one.graph.resources.flatMap((role) =>
    rightsOf(role)
      .filter((resource) => given.has(resource))
      .map((what): Found => ({ kind: 'right', what, at: role.id })),
  )
}

/** Things of the company that both may read: images are built once, Amazon's own things are everybody's. */
const ofEverybody = /:(ecr|iam|scheduler|aws-sdk):|:aws:policy\//

function rightsOf({ type, properties }: Resource): string[] {
  if (!type.startsWith('AWS::IAM::')) return []
  const { PolicyDocument, Policies } = properties
  const documents = [PolicyDocument, ...((Policies ?? []) as Properties[]).map((policy) => policy.PolicyDocument)]
  const statements = documents.flatMap((document) => [(document as Properties | undefined)?.Statement ?? []].flat())
  return (statements as Properties[])
    .flatMap(({ Resource }) => [Resource].flat())
    .filter((resource): resource is string => isWritten(resource) && resource.startsWith('arn:'))
    .filter((resource) => !ofEverybody.test(resource))
}

function foreignAccount({ graph }: BuiltEnvironment, { blueprint }: BuiltEnvironment): Found[] {
  const { account } = blueprint.settings
  return graph.resources
    .filter(({ properties }) => JSON.stringify(properties).includes(account))
    .map(({ id }) => ({ kind: 'account', what: account, at: id }))
}

function foreignNetwork({ graph }: BuiltEnvironment, { blueprint }: BuiltEnvironment): Found[] {
  const foreign = parseCidr(blueprint.settings.network)
  if (!foreign) return []
  return graph.resources.flatMap(({ id, properties }) =>
    [...JSON.stringify(properties).matchAll(/\d+\.\d+\.\d+\.\d+\/\d+/g)]
      .map(([text]) => ({ text, range: parseCidr(text) }))
      // Everything that is not private stands in lists of the internet.
      .filter(({ range }) => range && range.prefix >= 8 && overlaps(range, foreign))
      .map(({ text }): Found => ({ kind: 'network', what: text, at: id })),
  )
}

function sameDomain(one: BuiltEnvironment, other: BuiltEnvironment): Found[] {
  const names = (built: BuiltEnvironment) =>
    built.graph
      .ofType('AWS::Route53::HostedZone', 'AWS::Route53::RecordSet')
      .map(({ id, properties }) => ({ id, name: String(properties.Name).replace(/\.$/, '') }))
  const taken = new Set(names(other).map(({ name }) => name))
  return names(one)
    .filter(({ name }) => taken.has(name))
    .map(({ id, name }) => ({ kind: 'domain', what: name, at: id }))
}
