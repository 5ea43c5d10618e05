/** The one table of routes: what can be moved where, what tells whether a side answers, and what switches clients over. */
import { probeActivemq } from '@replatform/connector-activemq/probe'
import { activemqRoute } from '@replatform/connector-activemq/route'
import { createHaproxyRouting } from '@replatform/connector-haproxy/routing'
import { createPgbouncerRouting } from '@replatform/connector-pgbouncer/routing'
import { postgresqlRoute } from '@replatform/connector-postgresql/route'
import { withSession } from '@replatform/connector-postgresql/session'
import { BridgeMover } from '@replatform/connector-rabbitmq/bridge-mover'
import { probeRabbitmq } from '@replatform/connector-rabbitmq/probe'
import { renderPlan } from '@replatform/connector-rabbitmq/rabbitmq-plan'
import { rabbitmqRoute } from '@replatform/connector-rabbitmq/route'
import { probeRedis } from '@replatform/connector-redis/probe'
import { redisRoute } from '@replatform/connector-redis/route'
import type { Endpoint, Log, Mover, Route } from '@replatform/core/connector'
import { ReplatformError } from '@replatform/core/errors'
import type { EstateStore, EstateWave, HaproxySwitch, PgbouncerSwitch, StoreKind } from '@replatform/core/estate'
import type { Direction, Side } from '@replatform/core/move'
import type { Routing } from '@replatform/core/routing'
import type { MoveSpec } from '@replatform/engine/mover-protocol'
import type { ResolveSecret } from './secrets.ts'

export const routes: readonly Route[] = [postgresqlRoute, redisRoute, rabbitmqRoute, activemqRoute]

/** Throws `estate.no-route`. */
export function routeFor({ source, target }: EstateStore): Route {
  const found = routes.find((route) => route.source === source.kind && route.target === target.kind)
  if (found) return found
  throw new ReplatformError('estate.no-route', { message: `No route leads from ${source.kind} to ${target.kind}.` })
}

/** What the control plane shows and decides by. */
export function describeRoute(store: EstateStore) {
  const { source, target, declares } = routeFor(store)
  return { name: `${source}→${target}`, declares }
}

/** One side of a store with its secret resolved: from here on it must not be logged. */
export function endpointOf(store: EstateStore, side: Side, resolveSecret: ResolveSecret): Endpoint {
  const { kind, url, service, replica } = store[side]
  const resolved = { url: resolveSecret(url), replica: replica === undefined ? undefined : resolveSecret(replica) }
  return { kind, ...resolved, service, tables: store.tables }
}

export interface OpenMoverOptions {
  readonly direction: Direction
  readonly resolveSecret: ResolveSecret
  readonly log: Log
}

/** Opens the route of a move one way: its old and new sides are source and target of the flow, or the reverse. */
export function openMover(
  { name, store, tools }: MoveSpec,
  { direction, resolveSecret, log }: OpenMoverOptions,
): Mover {
  const old = endpointOf(store, 'source', resolveSecret)
  const next = endpointOf(store, 'target', resolveSecret)
  const [source, target] = direction === 'forward' ? [old, next] : [next, old]
  const { workers = 4, topology, schemaChanges, spool } = store
  const options = { move: name, direction, source, target, tools, workers, topology, schemaChanges, spool, log }
  return routeFor(store).open(options)
}

/** What would become of a broker's topology, as a document and as the file that people edit. Throws `usage` elsewhere. */
export async function proposeTopology(
  spec: MoveSpec,
  options: Omit<OpenMoverOptions, 'direction'>,
): Promise<{ plan: object; text: string }> {
  await using mover = openBridge(spec, options)
  const plan = await mover.proposeTopology()
  return { plan, text: renderPlan(plan) }
}

/** What a person must configure on the new broker for the plan in use; null where nothing. Throws `usage` elsewhere. */
export async function brokerConfiguration(
  spec: MoveSpec,
  options: Omit<OpenMoverOptions, 'direction'>,
): Promise<string | null> {
  await using mover = openBridge(spec, options)
  return await mover.configuration()
}

function openBridge(spec: MoveSpec, options: Omit<OpenMoverOptions, 'direction'>): BridgeMover {
  const mover = openMover(spec, { ...options, direction: 'forward' })
  if (mover instanceof BridgeMover) return mover
  throw new ReplatformError('usage', { message: `${spec.name} is no broker: only brokers have a topology to plan.` })
}

type Probe = (endpoint: Endpoint, side: Side) => Promise<string>

/** Connects once, with the user and the TLS of the move, and answers what runs there. Throws what is in the way. */
export const probes: Readonly<Record<StoreKind, Probe>> = {
  postgresql: (endpoint, side) =>
    withSession({ endpoint, side, move: 'doctor', role: 'probe' }, async (session) => {
      const { rows } = await session.query<{ server_version: string }>('SHOW server_version')
      return `PostgreSQL ${rows[0]?.server_version.split(' ')[0] ?? '?'}`
    }),
  redis: (endpoint, side) => probeRedis({ url: endpoint.url, side }),
  rabbitmq: (endpoint, side) => probeRabbitmq({ url: endpoint.url, side }),
  activemq: (endpoint, side) => probeActivemq({ url: endpoint.url, side }),
}

/** The programs that a store's route calls. */
export const toolsOf: Readonly<Record<StoreKind, readonly string[]>> = {
  postgresql: ['pg_dump', 'pg_restore'],
  redis: [],
  rabbitmq: [],
  activemq: [],
}

/** The switchover points in front of a store; none where clients are told some other way. */
export function createRoutings(store: EstateStore, resolveSecret: ResolveSecret, log: Log): Routing[] {
  const { pgbouncer, haproxy } = store.switch ?? {}
  const routings: Routing[] = []
  if (pgbouncer) routings.push(createPgbouncerRouting(pgbouncerOptions(pgbouncer, { store, resolveSecret, log })))
  if (haproxy) {
    const addresses = placesOf(store, resolveSecret)
    routings.push(createHaproxyRouting({ ...haproxyOptions(haproxy, log), addresses }))
  }
  return routings
}

/** Of the stores that have a switchover point of ours. */
const defaultPort: Readonly<Partial<Record<StoreKind, string>>> = { postgresql: '5432', redis: '6379' }

/** The switchover points in front of a wave as a whole. */
export function createGateways({ gateways = [] }: EstateWave, log: Log): Routing[] {
  return gateways.map(({ haproxy }) => createHaproxyRouting(haproxyOptions(haproxy, log)))
}

export interface StoreSwitchOptions {
  readonly store: EstateStore
  readonly resolveSecret: ResolveSecret
  readonly log: Log
}

export function pgbouncerOptions(
  { admin, database, config }: PgbouncerSwitch,
  { store, resolveSecret, log }: StoreSwitchOptions,
) {
  const places = placesOf(store, resolveSecret)
  return { adminUrl: resolveSecret(admin), database, configFile: config, places, log }
}

export function haproxyOptions({ socket, backend, old, new: next, wait = 'wait', stateFile }: HaproxySwitch, log: Log) {
  return { socket, backend, servers: { old, new: next }, wait, stateFile, log }
}

function placesOf(store: EstateStore, resolveSecret: ResolveSecret) {
  return { old: placeOf(store, 'source', resolveSecret), new: placeOf(store, 'target', resolveSecret) }
}

function placeOf(store: EstateStore, side: Side, resolveSecret: ResolveSecret) {
  const { hostname, port, pathname } = parseAddress(resolveSecret(store[side].url), store[side].url)
  const host = hostname.replace(/^\[|\]$/g, '')
  return { host, port: Number(port || defaultPort[store[side].kind]), dbname: decodeURIComponent(pathname.slice(1)) }
}

/** Whom the mover is on that side: a secret. */
export function loginOf(store: EstateStore, side: Side, resolveSecret: ResolveSecret) {
  const { username, password } = parseAddress(resolveSecret(store[side].url), store[side].url)
  return { user: decodeURIComponent(username), password: decodeURIComponent(password) }
}

/** The error of `new URL` would carry the address, and with it the password. */
function parseAddress(address: string, reference: string): URL {
  if (URL.canParse(address)) return new URL(address)
  throw new ReplatformError('secret.unresolved', {
    message: `${reference} does not hold an address.`,
    next: 'Write it as kind://user:password@host:port/database, special characters percent-encoded.',
  })
}
