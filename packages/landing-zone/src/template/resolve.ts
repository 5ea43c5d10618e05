/** Turns CloudFormation's functions into plain text in which other resources stand as `«stack.LogicalId»`. */

export interface ResolveScope {
  readonly stack: string
  readonly account: string
  readonly region: string
  /** What another stack exports under that name, as it stands there. */
  readonly importValue: (name: string) => unknown
}

type Call = (argument: unknown, scope: ResolveScope) => unknown

export function resolve(value: unknown, scope: ResolveScope): unknown {
  if (Array.isArray(value)) return value.map((item) => resolve(item, scope))
  if (value === null || typeof value !== 'object') return value
  const entries = Object.entries(value)
  const [name = '', argument] = entries[0] ?? []
  const call = entries.length === 1 ? functions[name] : undefined
  if (call) return call(argument, scope)
  return Object.fromEntries(entries.map(([key, item]) => [key, resolve(item, scope)]))
}

/** The resources that a resolved value names. */
export function referencesIn(value: unknown): string[] {
  const text = JSON.stringify(value) ?? ''
  return [...new Set([...text.matchAll(/«([^».]+\.[^».]+)(?:\.[^»]*)?»/g)].map(([, id]) => id as string))]
}

const functions: Readonly<Record<string, Call>> = {
  'Ref': (argument, { stack, account, region }) => {
    switch (argument) {
      case 'AWS::AccountId':
        return account
      case 'AWS::Region':
        return region
      case 'AWS::Partition':
        return 'aws'
      case 'AWS::URLSuffix':
        return 'amazonaws.com'
      default:
        return `«${stack}.${argument}»`
    }
  },
  'Fn::GetAtt': (argument, { stack }) => {
    const [id, attribute] = Array.isArray(argument) ? argument : String(argument).split('.')
    return `«${stack}.${id}.${attribute}»`
  },
  'Fn::Join': (argument, scope) => {
    const [separator, parts] = argument as [string, unknown[]]
    return (resolve(parts, scope) as unknown[]).join(separator)
  },
  'Fn::ImportValue': (argument, scope) => scope.importValue(String(resolve(argument, scope))),
  'Fn::Select': (argument, scope) => {
    const [index, list] = resolve(argument, scope) as [number, unknown]
    const item = Array.isArray(list) ? list[Number(index)] : undefined
    // Of a list that only deployment knows, or what it was split into, the name of what it belongs to remains.
    return item ?? `${Array.isArray(list) ? list.join() : list}[${index}]`
  },
  'Fn::GetAZs': () => 'zones',
  'Fn::Base64': (argument, scope) => resolve(argument, scope),
  'Fn::Split': (argument, scope) => {
    const [separator, text] = resolve(argument, scope) as [string, string]
    return String(text).split(separator)
  },
  'Fn::Sub': (argument, scope) =>
    String(Array.isArray(argument) ? argument[0] : argument).replaceAll(/\$\{([^}]+)\}/g, (_, name: string) =>
      String(resolve({ Ref: name }, scope)),
    ),
}
