/**
 * A model of what Amazon OpenSearch Service refuses its customers, written down from "Supported operations" and
 * "Quotas" in its developer guide. It was never held against the service itself.
 */
import type { Refusal, SearchRequest } from './search-gateway.ts'

/** First segments of what may be asked of the cluster as a whole. Whatever is asked of an index goes through. */
const supported = new Set(
  `_alias _aliases _all _analyze _bulk _cat _component_template _count _data_stream _delete_by_query _explain
  _field_caps _flush _index_template _ingest _list _mapping _mget _msearch _mtermvectors _nodes _plugins _rank_eval
  _refresh _reindex _render _resolve _rollover _scripts _search _shard_stores _snapshot _stats _tasks _template
  _update_by_query _validate`.split(/\s+/),
)

const supportedOfCluster = new Set(['allocation', 'health', 'pending_tasks', 'settings', 'state', 'stats'])

/** Those of every version; newer ones may know more. Too strict is the harmless side to err on. */
const changeableSettings = new Set([
  'action.auto_create_index',
  'action.search.shard_count.limit',
  'cluster.max_shards_per_node',
  'indices.breaker.fielddata.limit',
  'indices.breaker.request.limit',
  'indices.breaker.total.limit',
])

/** Of the smaller instance types; the larger ones take 100 MiB. */
const requestBytesMax = 10 * 1024 * 1024

export async function refuseAsOpensearchService(request: SearchRequest): Promise<Refusal | undefined> {
  const { method, segments, bodyBytes } = request
  if (bodyBytes > requestBytesMax) return { status: 413, message: 'Request size exceeded 10485760 bytes' }
  if (!mayBeAsked(segments)) return notAllowed(segments, 'is not allowed')
  const changes = method === 'PUT' || method === 'POST'
  if (changes && segments[0] === '_cluster' && segments[1] === 'settings') {
    return onlyChangeableSettings(await request.body()) ? undefined : notAllowed(segments, 'payload is not allowed')
  }
  if (changes && segments[0] === '_snapshot' && segments.length === 2) {
    return isBucket(await request.body()) ? undefined : notAllowed(segments, 'payload is not allowed')
  }
  return undefined
}

function mayBeAsked([first, second, third]: readonly string[]): boolean {
  if (first === undefined || !first.startsWith('_')) return true
  if (first === '_cluster') return second !== undefined && supportedOfCluster.has(second)
  if (first === '_cat') return second !== 'nodeattrs'
  if (first === '_nodes') return second !== 'reload_secure_settings' && third !== 'reload_secure_settings'
  return supported.has(first)
}

/** The service takes the flat form of names only, and these few. */
function onlyChangeableSettings(body: string): boolean {
  const parsed = parse(body)
  if (!isObject(parsed)) return false
  return Object.entries(parsed).every(
    ([scope, settings]) =>
      (scope === 'persistent' || scope === 'transient') &&
      isObject(settings) &&
      Object.entries(settings).every(([name, value]) => changeableSettings.has(name) && !isObject(value)),
  )
}

function isBucket(body: string): boolean {
  const parsed = parse(body)
  return isObject(parsed) && parsed.type === 's3'
}

function notAllowed(segments: readonly string[], what: string): Refusal {
  return { status: 401, message: `Your request: '/${segments.join('/')}' ${what}.` }
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
