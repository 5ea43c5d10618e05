/** The checks of `doctor`: each stands alone, so that one that fails hides no other. */
import { execFile } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { ApiClient } from '@replatform/control/api-client'
import { openSharedDatabase } from '@replatform/control/control-database'
import { ReplatformError, type SerializedError, toReplatformError } from '@replatform/core/errors'
import type { Estate, EstateStore } from '@replatform/core/estate'
import type { Side } from '@replatform/core/move'
import type { Invocation } from './invocation.ts'
import { endpointOf, probes, routeFor, toolsOf } from './routes.ts'
import { exposureOf } from './secret-permissions.ts'
import { isListening } from './worker-connection.ts'

export interface Examination {
  readonly name: string
  readonly state: 'ok' | 'risk' | 'failed'
  readonly detail: string
  readonly error: SerializedError | null
}

type Check = readonly [name: string, find: () => Promise<string | Omit<Examination, 'name'>>]

/** In the order in which a person would mend what failed. Throws only where there is no estate to examine. */
export async function examine(invocation: Invocation): Promise<Examination[]> {
  const { estate } = invocation
  const stores = Object.entries(estate.stores)
  const checks: Check[] = [
    ['node', checkNode],
    ['estate', async () => `${estate.estate}: ${stores.length} ${stores.length === 1 ? 'store' : 'stores'}`],
    ['state directory', () => checkStateDirectory(invocation)],
    ['control database', () => checkControl(invocation)],
    ...toolChecks(estate),
    ...stores.flatMap(([name, store]) => storeChecks(invocation, name, store)),
  ]
  // Side by side: a host that does not answer takes its whole timeout.
  return Promise.all(checks.map(perform))
}

async function perform([name, find]: Check): Promise<Examination> {
  try {
    const found = await find()
    return typeof found === 'string' ? { name, state: 'ok', detail: found, error: null } : { name, ...found }
  } catch (thrown) {
    const error = toReplatformError(thrown).toJSON()
    return { name, state: 'failed', detail: error.message, error }
  }
}

async function checkNode(): Promise<string> {
  const [major = 0] = process.versions.node.split('.').map(Number)
  if (major >= 24) return process.version
  throw new ReplatformError('tool.missing', {
    message: `This is Node ${process.version}; Replatform needs 24 or later.`,
    next: 'Start it with `npm run replatform`, which brings the right one along.',
  })
}

async function checkStateDirectory({ stateDirectory }: Invocation): Promise<string> {
  try {
    await access(stateDirectory, constants.R_OK | constants.W_OK | constants.X_OK)
    return stateDirectory
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException
    if (code !== 'ENOENT') throw unusable(stateDirectory, code, thrown)
  }
  const parent = dirname(stateDirectory)
  await access(parent, constants.W_OK).catch((cause) => {
    throw unusable(stateDirectory, (cause as NodeJS.ErrnoException).code, cause)
  })
  return `${stateDirectory} (is created by the first command that needs it)`
}

function unusable(path: string, why: string | undefined, cause: unknown): ReplatformError {
  return new ReplatformError('state.unusable', { message: `${path} cannot be used (${why}).`, cause })
}

async function checkControl({ io, stateDirectory }: Invocation): Promise<string> {
  if (await isListening(new ApiClient(stateDirectory))) return 'a worker runs and answers'
  const url = io.env.REPLATFORM_CONTROL_URL
  if (!url) return 'embedded in the state directory; no worker runs'
  const silent = { info: () => {}, warn: () => {}, error: () => {} }
  await using database = await openSharedDatabase(url, silent)
  return `REPLATFORM_CONTROL_URL answers (${database.kind}); no worker runs here`
}

function toolChecks({ stores, tools = {} }: Estate): Check[] {
  const kinds = new Set(Object.values(stores).flatMap(({ source, target }) => [source.kind, target.kind]))
  const names = new Set([...kinds].flatMap((kind) => toolsOf[kind]))
  return [...names].map((name): Check => [name, () => checkTool(name, tools[name] ?? name)])
}

async function checkTool(name: string, program: string): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(program, ['--version'], { timeout: 10_000 })
    const version = stdout.trim().split('\n')[0] ?? ''
    return program === name ? version : `${version}, ${program}`
  } catch (cause) {
    throw new ReplatformError('tool.missing', {
      message: `${name} cannot be run as "${program}".`,
      next: `Install it, or name the program under tools.${name} in the estate file.`,
      cause,
    })
  }
}

function storeChecks(invocation: Invocation, name: string, store: EstateStore): Check[] {
  const sides: readonly Side[] = ['source', 'target']
  const references = [
    store.source.url,
    store.target.url,
    store.source.replica,
    store.target.replica,
    store.switch?.pgbouncer?.admin,
  ].filter((url) => url !== undefined)
  return [
    [`${name} route`, async () => `${routeFor(store).source} → ${routeFor(store).target}`],
    ...references.map((reference): Check => [`${name} secret`, () => checkSecret(invocation, reference)]),
    ...sides.map((side): Check => [`${name} ${side}`, () => checkSide(invocation, store, side)]),
  ]
}

async function checkSecret({ resolveSecret }: Invocation, reference: string) {
  resolveSecret(reference)
  const exposure = exposureOf(reference)
  return exposure ? { state: 'risk' as const, detail: exposure, error: null } : `${reference} resolves`
}

async function checkSide({ resolveSecret }: Invocation, store: EstateStore, side: Side): Promise<string> {
  const endpoint = endpointOf(store, side, resolveSecret)
  const service = endpoint.service ? ` as ${endpoint.service}` : ''
  return `${await probes[endpoint.kind](endpoint, side)}${service} answers`
}
