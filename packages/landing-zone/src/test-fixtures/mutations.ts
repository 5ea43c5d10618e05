/** Templates with one setting turned over or taken away: what proves that each is needed. */
import type { Properties, Resource } from '../template/template-graph.ts'

export type Path = readonly string[]

/** `AWS::S3::Bucket VersioningConfiguration.Status`; places in lists are `#`. */
export function nameOf({ type }: Resource, path: Path): string {
  return `${type} ${path.map((step) => (/^\d+$/.test(step) ? '#' : step)).join('.')}`
}

/** Where something can be on or off. Conditions of policies are held whole by the rules about them. */
export function switchesIn(value: unknown, path: Path = []): Path[] {
  if (typeof value === 'boolean') return [path]
  if (value === null || typeof value !== 'object') return []
  return Object.entries(value).flatMap(([key, item]) =>
    /Policy|Statement|Condition/.test(key) ? [] : switchesIn(item, [...path, key]),
  )
}

/** Every value, and every list and object that holds one; of policies the whole only. */
export function settingsIn(value: unknown, path: Path = []): Path[] {
  const own = path.length > 0 ? [path] : []
  const isPlain = (item: unknown) => item === null || typeof item !== 'object'
  // A list of plain values is one setting: which of them stand there is held by whoever reads it.
  const isWhole = isPlain(value) || (Array.isArray(value) && value.every(isPlain))
  if (isWhole || /Policy$|Policies$|Tags$/.test(path.at(-1) ?? '')) return own
  return [...own, ...Object.entries(value as object).flatMap(([key, item]) => settingsIn(item, [...path, key]))]
}

export function changedAt(resource: Resource, path: Path, change: (value: unknown) => unknown): Resource {
  return { ...resource, properties: withValue(resource.properties, path, change) as Properties }
}

function withValue(value: unknown, [step, ...rest]: Path, change: (value: unknown) => unknown): unknown {
  if (step === undefined) return change(value)
  const changed = withValue((value as Readonly<Record<string, unknown>>)[step], rest, change)
  if (!Array.isArray(value)) return { ...(value as object), [step]: changed }
  return value.flatMap((item, index) => (String(index) === step ? (changed === undefined ? [] : [changed]) : [item]))
}
