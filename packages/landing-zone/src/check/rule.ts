/** A control of ours: what of a template it looks at, and what it wants to see there. */
import type { Blueprint } from '../plan/blueprint.ts'
import type { Properties, Resource, TemplateGraph } from '../template/template-graph.ts'

export interface Violation {
  /** The resource, or the name of a store or service of the estate. */
  readonly at: string
  readonly what: string
}

export interface Rule {
  /** Stable: `kms-rotation`. */
  readonly id: string
  /** Requirements of PCI-DSS 4.0.1 that it gives evidence for; never more than evidence. */
  readonly pci: readonly string[]
  /** One sentence: what must be so. */
  readonly wants: string
  readonly violations: (graph: TemplateGraph, blueprint: Blueprint) => Violation[]
}

interface PropertyRule extends Omit<Rule, 'violations'> {
  readonly types: readonly string[]
  /** What is wrong with the properties of one resource; undefined where nothing is. */
  readonly wrong: (properties: Properties, resource: Resource, graph: TemplateGraph) => string | undefined
  /** Fails too where no such resource exists. */
  readonly atLeastOne?: true
  /** Whether the rule speaks about this environment at all. */
  readonly when?: (blueprint: Blueprint) => boolean
}

/** A rule about single resources of some types. */
export function aboutEach({ types, wrong, atLeastOne, when, ...rule }: PropertyRule): Rule {
  return {
    ...rule,
    violations: (graph, blueprint) => {
      if (when && !when(blueprint)) return []
      const resources = graph.ofType(...types)
      if (atLeastOne && resources.length === 0) return [{ at: types.join(', '), what: 'there is none' }]
      return resources.flatMap((resource) => {
        const what = wrong(resource.properties, resource, graph)
        return what === undefined ? [] : [{ at: resource.id, what }]
      })
    },
  }
}

/** The value behind a dotted path, list indexes included. */
export function at(properties: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((value, key) => {
    return value !== null && typeof value === 'object' ? (value as Properties)[key] : undefined
  }, properties)
}

/** Complains where any of the paths does not hold what it should. */
export function expecting(wanted: Readonly<Record<string, unknown>>): PropertyRule['wrong'] {
  return (properties) => {
    const off = Object.entries(wanted).filter(([path, value]) => String(at(properties, path)) !== String(value))
    return off.length === 0 ? undefined : off.map(([path, value]) => `${path} is not ${value}`).join(', ')
  }
}

export function missing(...paths: readonly string[]): PropertyRule['wrong'] {
  return (properties) => {
    const absent = paths.filter((path) => at(properties, path) === undefined)
    return absent.length === 0 ? undefined : `${absent.join(', ')} is not set`
  }
}

export function all(...checks: readonly PropertyRule['wrong'][]): PropertyRule['wrong'] {
  return (...given) => {
    const wrong = checks.flatMap((check) => check(...given) ?? [])
    return wrong.length === 0 ? undefined : wrong.join('; ')
  }
}

export function inProduction({ isProduction }: Pick<Blueprint, 'isProduction'>): boolean {
  return isProduction
}
