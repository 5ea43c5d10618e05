import type { Properties } from '../template/template-graph.ts'
import { aboutEach, at, type Rule } from './rule.ts'

/** Access of machines and people (PCI-DSS 4.0.1, 2, 7 and 8). */
export const accessRules: readonly Rule[] = [
  aboutEach({
    id: 'workers-closed',
    pci: ['1.4.4', '7.2.5', '2.2.1'],
    wants:
      'Workers of the migration have no public address, nobody opens a shell in them, and their disk is read-only.',
    types: ['AWS::ECS::Service', 'AWS::ECS::TaskDefinition'],
    wrong: ({ EnableExecuteCommand, NetworkConfiguration, ContainerDefinitions }) => {
      if (EnableExecuteCommand === true) return 'lets people open a shell'
      if (at(NetworkConfiguration, 'AwsvpcConfiguration.AssignPublicIp') === 'ENABLED') return 'has a public address'
      const containers = (ContainerDefinitions ?? []) as readonly Properties[]
      return containers.every(({ ReadonlyRootFilesystem }) => ReadonlyRootFilesystem === true)
        ? undefined
        : 'may write on its disk'
    },
  }),
  {
    id: 'rights-are-narrow',
    pci: ['7.2.5', '7.2.2'],
    wants: 'No role may do everything, and what it may do everywhere is what knows no resource.',
    violations: (graph) =>
      graph.ofType('AWS::IAM::Role', 'AWS::IAM::Policy').flatMap(({ id, properties }) =>
        statementsOf(properties).flatMap((statement) => {
          const actions = [statement.Action].flat().map(String)
          const tooMuch = actions.find((action) => action === '*' || action.endsWith(':*'))
          if (tooMuch) return [{ at: id, what: `may do ${tooMuch}` }]
          const everywhere = statement.Resource === '*' && !statement.Condition
          const named = everywhere
            ? actions.filter((action) => !withoutResource.some((known) => action.startsWith(known)))
            : []
          return named.length > 0 ? [{ at: id, what: `may ${named[0]} everywhere` }] : []
        }),
      ),
  },
  {
    id: 'secrets-by-name',
    pci: ['7.2.5', '8.6.2'],
    wants: 'A role reads secrets by their name, never all of them.',
    violations: (graph) =>
      graph.ofType('AWS::IAM::Role', 'AWS::IAM::Policy').flatMap(({ id, properties }) =>
        statementsOf(properties)
          .filter(({ Action }) =>
            [Action]
              .flat()
              .map(String)
              .some((action) => action.startsWith('secretsmanager:')),
          )
          .flatMap(({ Resource }) =>
            [Resource]
              .flat()
              .map(String)
              .some((resource) => resource === '*' || resource.endsWith('secret:*'))
              ? [{ at: id, what: 'reads every secret' }]
              : [],
          ),
      ),
  },
]

/** Calls that know no resource. Source: service authorization reference, "Actions defined by …". */
const withoutResource = [
  'ssm:',
  'ssmmessages:',
  'ec2messages:',
  'ecr:GetAuthorizationToken',
  'cloudwatch:PutMetricData',
  'xray:Put',
]

interface Statement {
  readonly Action?: unknown
  readonly Resource?: unknown
  readonly Condition?: unknown
}

function statementsOf(properties: Properties): Statement[] {
  const documents = [
    properties.PolicyDocument,
    ...((properties.Policies ?? []) as Properties[]).map(({ PolicyDocument }) => PolicyDocument),
  ]
  return documents.flatMap((document) => ((document as Properties | undefined)?.Statement ?? []) as Statement[])
}
