/** Says in words what the schema finds wrong, with the key or value that was probably meant. */
import { Settings } from 'typebox/system'
import { Errors } from 'typebox/value'
import { Estate, type EstateWave, secretPattern } from './estate.ts'
import type { Path } from './estate-document.ts'
import { nearest } from './nearest.ts'

export interface Complaint {
  readonly path: Path
  /** Whether the key or the value at `path` is wrong. */
  readonly at: 'key' | 'value'
  readonly message: string
}

type SchemaError = ReturnType<typeof Errors>[number]

/** The part of JSON Schema that the estate's schema uses. */
interface Schema {
  readonly type?: string
  readonly description?: string
  readonly pattern?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly patternProperties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
}

/** What contradicts the schema, or where that is in order, what contradicts itself. */
export function complaintsAbout(value: unknown): Complaint[] {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    return [{ path: [], at: 'value', message: 'expected a mapping with at least the keys "estate" and "stores"' }]
  }
  const complaints = schemaErrors(value).flatMap(explain)
  return complaints.length > 0 ? complaints : contradictions(value as Estate)
}

/** The library stops at eight errors unless told otherwise, for the whole process; so it is told only here. */
function schemaErrors(value: unknown): SchemaError[] {
  const { maxErrors } = Settings.Get()
  Settings.Set({ maxErrors: 200 })
  try {
    return Errors(Estate, value)
  } finally {
    Settings.Set({ maxErrors })
  }
}

function explain(error: SchemaError): Complaint[] {
  const path = pathOf(error.instancePath)
  const wrongValue = (message: string): Complaint[] => [{ path, at: 'value', message }]
  switch (error.keyword) {
    // Each key that is too many has a `boolean` error of its own.
    case 'additionalProperties':
      return []
    case 'boolean':
      return [{ path, at: 'key', message: explainKey(path) }]
    case 'required':
      return wrongValue(`${plural(error.params.requiredProperties, 'the key')} missing`)
    case 'enum': {
      const allowed = error.params.allowedValues.map((allowedValue) => `"${allowedValue}"`)
      return wrongValue(`expected ${allowed.length > 1 ? 'one of ' : ''}${allowed.join(', ')}`)
    }
    case 'type':
      return wrongValue(isSecret(schemaAt(path)) ? explainSecret : `expected ${article(String(error.params.type))}`)
    case 'pattern':
      return wrongValue(explainPattern(schemaAt(path)))
    case 'minimum':
      return wrongValue(`expected at least ${error.params.limit}`)
    case 'maximum':
      return wrongValue(`expected at most ${error.params.limit}`)
    case 'minItems':
    case 'minProperties':
      return wrongValue(`expected at least ${error.params.limit} here`)
    case 'minLength':
      return wrongValue('expected a text that is not empty')
    case 'uniqueItems':
      return wrongValue('names the same item twice')
    default:
      return wrongValue(error.message)
  }
}

function explainKey(path: Path): string {
  const key = String(path.at(-1))
  const parent = schemaAt(path.slice(0, -1))
  const [named] = Object.values(parent?.patternProperties ?? {})
  if (named) return 'not a name: expected lower-case letters, digits and hyphens, at most 40, beginning with a letter'
  const known = Object.keys(parent?.properties ?? {})
  const meant = nearest(key, known)
  return `unknown key; ${meant ? `did you mean "${meant}"?` : `known here: ${known.join(', ')}`}`
}

const explainSecret =
  'expected a reference to the secret, never the secret itself; write env:NAME or file:/path (its value is not shown here)'

function explainPattern(schema: Schema | undefined): string {
  if (isSecret(schema)) return explainSecret
  return `expected ${lowerFirst(schema?.description ?? 'another form').replace(/\.$/, '')}`
}

function isSecret(schema: Schema | undefined): boolean {
  return schema?.pattern === secretPattern
}

function schemaAt(path: Path): Schema | undefined {
  let schema: Schema | undefined = Estate as unknown as Schema
  for (const step of path) schema = typeof step === 'number' ? schema?.items : propertyOf(schema, step)
  return schema
}

function propertyOf(schema: Schema | undefined, key: string): Schema | undefined {
  if (schema?.properties && Object.hasOwn(schema.properties, key)) return schema.properties[key]
  const patterns = Object.entries(schema?.patternProperties ?? {})
  return patterns.find(([pattern]) => new RegExp(pattern, 'u').test(key))?.[1]
}

/** What the schema cannot say: waves and stores must fit each other. */
function contradictions(estate: Estate): Complaint[] {
  return [
    ...sameBothSides(estate),
    ...tablesOfOthers(estate),
    ...replicasOfOthers(estate),
    ...wavesWithoutStores(estate),
    ...servicesWithoutStores(estate),
    ...twice(estate.waves ?? []),
    ...namesOfOthers(estate),
    ...windowsThatNeverOpen(estate.waves ?? []),
    ...notifiersWithoutNeeds(estate),
    ...tokensWithOneName(estate),
  ]
}

/** What a kind of notification cannot do without. */
function notifiersWithoutNeeds(estate: Estate): Complaint[] {
  const needs = { webhook: ['secret'], slack: [], email: ['to', 'from'] } as const
  return (estate.notify ?? []).flatMap((entry, index) =>
    needs[entry.kind]
      .filter((key) => entry[key] === undefined)
      .map((key): Complaint => {
        return { path: ['notify', index, 'kind'], at: 'value', message: `"${entry.kind}" needs the key "${key}"` }
      }),
  )
}

function tokensWithOneName(estate: Estate): Complaint[] {
  const names = (estate.access ?? []).map(({ name }) => name)
  return names.flatMap((name, index): Complaint[] => {
    if (names.indexOf(name) === index) return []
    return [{ path: ['access', index, 'name'], at: 'value', message: `"${name}" stands there already` }]
  })
}

function sameBothSides(estate: Estate): Complaint[] {
  return Object.entries(estate.stores).flatMap(([name, { source, target }]) =>
    source.url === target.url
      ? [{ path: ['stores', name, 'target', 'url'], at: 'value', message: 'the same reference as the source' }]
      : [],
  )
}

function tablesOfOthers(estate: Estate): Complaint[] {
  return Object.entries(estate.stores).flatMap(([name, { source, tables }]): Complaint[] => {
    if (!tables || source.kind === 'postgresql') return []
    return [{ path: ['stores', name, 'tables'], at: 'key', message: `a store of kind "${source.kind}" has no tables` }]
  })
}

function replicasOfOthers(estate: Estate): Complaint[] {
  return Object.entries(estate.stores).flatMap(([name, store]) =>
    (['source', 'target'] as const).flatMap((side): Complaint[] => {
      const { kind, replica } = store[side]
      if (replica === undefined || kind === 'postgresql') return []
      return [
        { path: ['stores', name, side, 'replica'], at: 'key', message: `only postgresql is compared by a replica` },
      ]
    }),
  )
}

function wavesWithoutStores(estate: Estate): Complaint[] {
  const stores = Object.keys(estate.stores)
  return (estate.waves ?? []).flatMap((wave, waveIndex) =>
    wave.moves.flatMap((move, moveIndex): Complaint[] => {
      if (stores.includes(move)) return []
      const path = ['waves', waveIndex, 'moves', moveIndex]
      return [{ path, at: 'value', message: noSuchStore(move, stores) }]
    }),
  )
}

function servicesWithoutStores(estate: Estate): Complaint[] {
  const stores = Object.keys(estate.stores)
  return Object.entries(estate.services ?? {}).flatMap(([service, uses]) =>
    uses.stores.flatMap((store, index): Complaint[] => {
      if (stores.includes(store)) return []
      const path = ['services', service, 'stores', index]
      return [{ path, at: 'value', message: noSuchStore(store, stores) }]
    }),
  )
}

function noSuchStore(name: string, stores: readonly string[]): string {
  const meant = nearest(name, stores)
  const hint = meant ? `did you mean "${meant}"?` : `stores are: ${stores.join(', ')}`
  return `no store is named "${name}"; ${hint}`
}

function twice(waves: readonly EstateWave[]): Complaint[] {
  const complaints: Complaint[] = []
  const waveOf = new Map<string, string>()
  const names = new Set<string>()
  for (const [waveIndex, wave] of waves.entries()) {
    if (names.has(wave.name)) {
      const path = ['waves', waveIndex, 'name']
      complaints.push({ path, at: 'value', message: `another wave is named "${wave.name}" already` })
    }
    names.add(wave.name)
    for (const [moveIndex, move] of wave.moves.entries()) {
      const other = waveOf.get(move)
      const path = ['waves', waveIndex, 'moves', moveIndex]
      if (other !== undefined) {
        complaints.push({ path, at: 'value', message: `"${move}" cuts over in the wave "${other}" already` })
      }
      waveOf.set(move, wave.name)
    }
  }
  return complaints
}

/** A move that no wave names is a wave of its own, by its own name. */
function namesOfOthers({ stores, waves = [] }: Estate): Complaint[] {
  const inWaves = new Set(waves.flatMap(({ moves }) => moves))
  return waves.flatMap(({ name }, waveIndex): Complaint[] => {
    if (!Object.hasOwn(stores, name) || inWaves.has(name)) return []
    const message = `the store "${name}", which is in no wave, has this name; name the wave otherwise`
    return [{ path: ['waves', waveIndex, 'name'], at: 'value', message }]
  })
}

function windowsThatNeverOpen(waves: readonly EstateWave[]): Complaint[] {
  return waves.flatMap(({ window }, waveIndex): Complaint[] => {
    const path = ['waves', waveIndex, 'window']
    if (!window || Date.parse(window.from) < Date.parse(window.to)) return []
    return [{ path, at: 'value', message: 'expected two times that exist, "from" before "to"' }]
  })
}

function pathOf(pointer: string): Path {
  const path: (string | number)[] = []
  for (const escaped of pointer.split('/').slice(1)) {
    const step = escaped.replaceAll('~1', '/').replaceAll('~0', '~')
    path.push(schemaAt(path)?.items ? Number(step) : step)
  }
  return path
}

function plural(keys: readonly string[], noun: string): string {
  const quoted = keys.map((key) => `"${key}"`).join(', ')
  return keys.length === 1 ? `${noun} ${quoted} is` : `${noun}s ${quoted} are`
}

function article(type: string): string {
  const names: Record<string, string> = {
    object: 'a mapping',
    array: 'a list',
    string: 'a text',
    integer: 'a whole number',
  }
  return names[type] ?? type
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}
