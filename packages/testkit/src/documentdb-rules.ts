/**
 * A model, as of DocumentDB 5.0 and its documentation of 2026, of what Amazon DocumentDB refuses and MongoDB does not.
 * What it lets through may still be refused there.
 */
import type { Document } from 'mongodb'

export interface Refusal {
  readonly code: number
  readonly codeName: string
  readonly errmsg: string
}

const words = (list: string): ReadonlySet<string> => new Set(list.split(/\s+/).filter(Boolean))

const commands = words(`
  applyOps cloneCollectionAsCapped compact convertToCapped dbHash filemd5 mapReduce mapreduce reIndex
  replSetReconfig replSetStepDown setFeatureCompatibilityVersion`)

const readers = words('aggregate count distinct find listCollections listIndexes')

const stages = words(`
  $bucket $bucketAuto $collStats $densify $facet $fill $graphLookup $listSessions $merge $planCacheStats
  $replaceWith $setWindowFields $sortByCount $unionWith`)

const operators = words(`
  $accumulator $acos $acosh $asin $asinh $atan $atan2 $atanh $box $center $centerSphere $cos $cosh $dateDiff
  $dateFromParts $dateToParts $dateTrunc $degreesToRadians $function $getField $isNumber $ltrim $near $polygon $pow
  $radiansToDegrees $rand $regexFindAll $replaceAll $replaceOne $round $rtrim $sampleRate $setField $sin $sinh
  $stdDevPop $stdDevSamp $tan $tanh $trim $trunc $where`)

const nameBytesMax = { database: 63, collection: 57, namespace: 120 }
const compoundKeysMax = 32

/** What DocumentDB would answer instead of carrying the command out; `undefined` when the model knows no objection. */
export function refusalOf(command: Document): Refusal | undefined {
  const name = Object.keys(command)[0] ?? ''
  if (commands.has(name)) return { code: 59, codeName: 'CommandNotFound', errmsg: `no such command: '${name}'` }
  // Members of a replica set log in to each other there; its data is the oplog, which DocumentDB does not have.
  if (command.$db === 'local' && readers.has(name)) return unsupported('database local')
  return refusalOfCreation(name, command) ?? refusalOfIndexes(name, command) ?? refusalOfQuery(command)
}

function refusalOfCreation(name: string, command: Document): Refusal | undefined {
  if (name !== 'create') return undefined
  if (command.capped) return unsupported('capped collection')
  if (command.collation) return unsupported('collation')
  return refusalOfName(String(command.$db), String(command.create))
}

function refusalOfName(database: string, collection: string): Refusal | undefined {
  const bytes = (text: string): number => Buffer.byteLength(text)
  const tooLong =
    bytes(database) > nameBytesMax.database ||
    bytes(collection) > nameBytesMax.collection ||
    bytes(`${database}.${collection}`) > nameBytesMax.namespace
  return tooLong ? { code: 73, codeName: 'InvalidNamespace', errmsg: 'namespace is too long' } : undefined
}

function refusalOfIndexes(name: string, command: Document): Refusal | undefined {
  if (name !== 'createIndexes' || !Array.isArray(command.indexes)) return undefined
  for (const index of command.indexes as Document[]) {
    const keys = Object.entries((index.key ?? {}) as Document)
    const kind = keys.find(([, kind]) => kind === '2d' || kind === 'geoHaystack' || kind === 'hashed')?.[1]
    if (kind !== undefined) return unsupported(`index type ${kind}`)
    if (keys.some(([field]) => field === '$**' || field.endsWith('.$**'))) return unsupported('wildcard index')
    if (keys.length > compoundKeysMax) return unsupported(`index of more than ${compoundKeysMax} keys`)
    if (index.collation) return unsupported('collation')
    if (index.hidden) return unsupported('hidden index')
  }
  return undefined
}

/** Looks wherever expressions may stand; never into documents that are only stored. */
function refusalOfQuery({ pipeline, filter, query, q, updates, deletes, collation }: Document): Refusal | undefined {
  if (collation) return unsupported('collation')
  const stage = [...stagesIn(pipeline)].find((found) => stages.has(found))
  if (stage) return { code: 304, codeName: 'StageNotSupported', errmsg: `Aggregation stage not supported: '${stage}'` }
  const operator = [...keysIn([pipeline, filter, query, q, updates, deletes])].find((found) => operators.has(found))
  return operator ? unsupported(operator) : undefined
}

function* stagesIn(pipeline: unknown): Generator<string> {
  if (!Array.isArray(pipeline)) return
  for (const stage of pipeline as Document[]) {
    yield* Object.keys(stage)
    yield* stagesIn(stage.$lookup?.pipeline)
  }
}

function* keysIn(value: unknown): Generator<string> {
  if (Array.isArray(value)) {
    for (const element of value) yield* keysIn(element)
  } else if (value?.constructor === Object) {
    for (const [key, inner] of Object.entries(value)) {
      yield key
      yield* keysIn(inner)
    }
  }
}

function unsupported(feature: string): Refusal {
  return { code: 303, codeName: 'FeatureNotSupported', errmsg: `Feature not supported: ${feature}` }
}
