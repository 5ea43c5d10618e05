/** The templates of one environment as one graph of resources, whatever stack each stands in. */
import type { CloudAssembly } from 'aws-cdk-lib/cx-api'
import { servesKey } from '../constructs/serving.ts'
import { referencesIn, resolve } from './resolve.ts'

export type Properties = Readonly<Record<string, unknown>>

export interface Resource {
  /** `stack.LogicalId`. */
  readonly id: string
  readonly stack: string
  readonly logicalId: string
  /** `AWS::EC2::Subnet`. */
  readonly type: string
  /** Functions resolved: other resources stand in texts as `«stack.LogicalId»`. */
  readonly properties: Properties
  /** Requirements that it says it serves. */
  readonly serves: readonly string[]
  readonly deletionPolicy: string | undefined
}

export interface StackTemplate {
  readonly name: string
  readonly account: string
  readonly region: string
  readonly template: RawTemplate
}

interface RawTemplate {
  readonly Resources?: Readonly<Record<string, RawResource>>
  readonly Outputs?: Readonly<Record<string, { readonly Value: unknown; readonly Export?: { readonly Name: unknown } }>>
}

interface RawResource {
  readonly Type: string
  readonly Properties?: Properties
  readonly Metadata?: Properties
  readonly DeletionPolicy?: string
}

export class TemplateGraph {
  readonly resources: readonly Resource[]
  readonly #byId: ReadonlyMap<string, Resource>
  readonly #byType: ReadonlyMap<string, readonly Resource[]>

  constructor(resources: readonly Resource[]) {
    this.resources = resources
    this.#byId = new Map(resources.map((resource) => [resource.id, resource]))
    this.#byType = Map.groupBy(resources, ({ type }) => type)
  }

  static ofTemplates(stacks: readonly StackTemplate[]): TemplateGraph {
    const exported = new Map<string, () => unknown>()
    const scopeOf = ({ name, account, region }: StackTemplate) => ({
      stack: name,
      account,
      region,
      importValue: (key: string) => exported.get(key)?.() ?? `«unknown.${key}»`,
    })
    for (const stack of stacks) {
      for (const { Value, Export } of Object.values(stack.template.Outputs ?? {})) {
        if (!Export) continue
        exported.set(String(resolve(Export.Name, scopeOf(stack))), () => resolve(Value, scopeOf(stack)))
      }
    }
    return new TemplateGraph(stacks.flatMap((stack) => resourcesOf(stack, scopeOf(stack))))
  }

  static of(assembly: CloudAssembly): TemplateGraph {
    return TemplateGraph.ofTemplates(
      assembly.stacks.map(({ id, template, environment }) => ({
        name: id,
        account: environment.account,
        region: environment.region,
        template: template as RawTemplate,
      })),
    )
  }

  /** The same environment with one resource described otherwise. */
  with(changed: Resource): TemplateGraph {
    return new TemplateGraph(this.resources.map((resource) => (resource.id === changed.id ? changed : resource)))
  }

  ofType(...types: readonly string[]): Resource[] {
    const [only] = types
    if (types.length === 1) return [...(this.#byType.get(only as string) ?? [])]
    return this.resources.filter(({ type }) => types.includes(type))
  }

  find(id: string): Resource | undefined {
    return this.#byId.get(id)
  }

  /** The resources that a value names, in the order in which they stand there. */
  named(value: unknown): Resource[] {
    return referencesIn(value).flatMap((id) => this.#byId.get(id) ?? [])
  }

  /** Those that name this one. */
  usersOf({ id }: Resource): Resource[] {
    return this.resources.filter((resource) => namesIn(resource).has(id))
  }
}

/** Asked for again and again of resources that never change; one described otherwise is another resource. */
const namesKnown = new WeakMap<Resource, ReadonlySet<string>>()

function namesIn(resource: Resource): ReadonlySet<string> {
  const known = namesKnown.get(resource)
  if (known) return known
  const names = new Set(referencesIn(resource.properties))
  namesKnown.set(resource, names)
  return names
}

function resourcesOf({ name, template }: StackTemplate, scope: Parameters<typeof resolve>[1]): Resource[] {
  return Object.entries(template.Resources ?? {}).map(([logicalId, raw]) => ({
    id: `${name}.${logicalId}`,
    stack: name,
    logicalId,
    type: raw.Type,
    properties: resolve(raw.Properties ?? {}, scope) as Properties,
    serves: (raw.Metadata?.[servesKey] as string[] | undefined) ?? [],
    deletionPolicy: raw.DeletionPolicy,
  }))
}
