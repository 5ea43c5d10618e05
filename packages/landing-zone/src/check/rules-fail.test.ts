import { beforeAll, expect, test } from 'vitest'
import type { Blueprint } from '../plan/blueprint.ts'
import { type Resource, TemplateGraph } from '../template/template-graph.ts'
import { graphOf } from '../test-fixtures/graph-of.ts'
import { everyForm, patienceMs } from '../test-fixtures/wallet-estate.ts'
import { rules } from './check.ts'

/**
 * Goal: every rule can fail. Method: the templates that pass every rule are spoilt in one place until the rule complains:
 * first a resource is gone, then a property, then a value inside.
 */
const blueprint = everyForm()

/** Not about what is left out or turned over, but about what is put there, or what the estate says. */
const spoilt: Readonly<Record<string, (graph: TemplateGraph) => readonly [TemplateGraph, Blueprint]>> = {
  'data-without-way-out': (graph) => {
    const route = first(graph, 'AWS::EC2::Route', 'WayOutappA')
    const table = first(graph, 'AWS::EC2::RouteTable', 'NetworkDataA')
    return [graph.with(changed(route, { RouteTableId: `«${table.id}»` })), blueprint]
  },
  'open-to-internet-only-443': (graph) => {
    const rule = first(graph, 'AWS::EC2::SecurityGroupIngress', 'InternetToBalancerGateway443')
    return [graph.with(changed(rule, { FromPort: 22, ToPort: 22 })), blueprint]
  },
  'rds-own-port': (graph) => [
    graph.with(changed(first(graph, 'AWS::RDS::DBInstance', ''), { Port: '5432' })),
    blueprint,
  ],
  'no-machine-keys': (graph) => {
    return [graph.with(changed(first(graph, 'AWS::EC2::Instance', ''), { KeyName: 'somebody' })), blueprint]
  },
  'workers-closed': (graph) => {
    return [graph.with(changed(first(graph, 'AWS::ECS::Service', ''), { EnableExecuteCommand: true })), blueprint]
  },
  'rights-are-narrow': (graph) => {
    const document = { Statement: [{ Effect: 'Allow', Action: 's3:*', Resource: 'arn:aws:s3:::one/*' }] }
    return [graph.with(changed(first(graph, 'AWS::IAM::Policy', ''), { PolicyDocument: document })), blueprint]
  },
  'secrets-by-name': (graph) => {
    const document = {
      Statement: [{ Effect: 'Allow', Action: 'secretsmanager:GetSecretValue', Resource: '*', Condition: {} }],
    }
    return [graph.with(changed(first(graph, 'AWS::IAM::Policy', ''), { PolicyDocument: document })), blueprint]
  },
  'machine-recovers': (graph) => [without(graph, 'AWS::CloudWatch::Alarm', 'Recovery'), blueprint],
  'group-renewed': (graph) => [without(graph, 'AWS::Scheduler::Schedule', 'Wallet'), blueprint],
  'firewall-logged': (graph) => [without(graph, 'AWS::NetworkFirewall::LoggingConfiguration', 'ZoneA'), blueprint],
  'documents-in-every-zone': (graph) => [without(graph, 'AWS::DocDB::DBInstance', ''), blueprint],
  'state-stays': (graph) => [
    graph,
    { ...blueprint, services: blueprint.services.map((service) => ({ ...service, stateful: true })) },
  ],
  'card-data-declared': (graph) => [graph, withStores(({ cardData: _, ...store }) => store)],
  'no-live-cards-outside-production': (graph) => [
    graph,
    { ...withStores((store) => ({ ...store, cardData: 'field-encrypted' })), isProduction: false },
  ],
  'key-kept': (graph) => [graph.with({ ...first(graph, 'AWS::KMS::Key', ''), deletionPolicy: 'Delete' }), blueprint],
  'data-kept': (graph) => [
    graph.with({ ...first(graph, 'AWS::S3::Bucket', ''), deletionPolicy: undefined }),
    blueprint,
  ],
  'serves-a-requirement': (graph) => [graph.with({ ...first(graph, 'AWS::EC2::VPC', ''), serves: [] }), blueprint],
}

let graph: TemplateGraph
beforeAll(() => {
  graph = graphOf(blueprint)
}, patienceMs)

test.each(rules.map((rule) => [rule.id, rule] as const))(
  '%s',
  (id, { violations }) => {
    expect(violations(graph, blueprint)).toEqual([])
    const special = spoilt[id]
    if (special) expect(violations(...special(graph))).not.toEqual([])
    else expect(isBrokenBySome(spoiltGraphs(graph), (one) => violations(one, blueprint).length > 0)).toBe(true)
  },
  patienceMs,
)

/** Lazily, in the order of how much each takes away. */
function* spoiltGraphs(whole: TemplateGraph): Generator<TemplateGraph> {
  for (const resource of whole.resources) yield new TemplateGraph(whole.resources.filter((other) => other !== resource))
  for (const resource of whole.resources) {
    for (const key of Object.keys(resource.properties)) yield whole.with(changed(resource, { [key]: undefined }))
  }
}

function isBrokenBySome(graphs: Iterable<TemplateGraph>, isBroken: (graph: TemplateGraph) => boolean): boolean {
  for (const one of graphs) if (isBroken(one)) return true
  return false
}

function changed(resource: Resource, properties: object): Resource {
  return { ...resource, properties: { ...resource.properties, ...properties } }
}

function first(whole: TemplateGraph, type: string, part: string): Resource {
  const found = whole.ofType(type).find(({ logicalId }) => logicalId.includes(part))
  if (!found) throw new Error(`There is no ${type} with ${part}.`)
  return found
}

function without(whole: TemplateGraph, type: string, part: string): TemplateGraph {
  const gone = first(whole, type, part)
  return new TemplateGraph(whole.resources.filter((resource) => resource !== gone))
}

type Store = Blueprint['stores'][number]

function withStores(change: (store: Store) => Store): Blueprint {
  return { ...blueprint, stores: blueprint.stores.map(change) }
}
