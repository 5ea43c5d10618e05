/**
 * A HAProxy of our own for a rehearsal: the same backend with the same servers by name, at each of which a stand-in
 * answers, so that no request and no command reaches a store or a service. What holding depends on comes from the real
 * configuration where the estate names it. Everything is on sockets in a folder that only its user can enter.
 */

import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { Agent, createServer as createHttpServer, get } from 'node:http'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { ReplatformError } from '@replatform/core/errors'
import type { RoutingCopy } from '@replatform/core/routing'
import { AskingClient } from '@replatform/engine/asking-client'
import { KeptProgram } from '@replatform/engine/kept-program'
import { readServers, readTraffic, type Traffic } from './backend-state.ts'
import { proxySettings } from './proxy-settings.ts'
import { createHaproxyRouting, type HaproxyRoutingOptions } from './routing.ts'
import { RuntimeApi } from './runtime-api.ts'

export interface HaproxyCopyOptions extends HaproxyRoutingOptions {
  /** Of HAProxy on this machine. */
  readonly program: string
  /** The real configuration, where it is on this machine. */
  readonly config?: string | undefined
}

const configFile = 'haproxy.cfg'
/** What docs/09-haproxy.md asks for. */
const recommended = ['option redispatch 1', 'retries 3000', 'timeout connect 100ms']
const clientTimeouts = ['timeout client 10m', 'timeout server 10m']

/** Throws `routing.failed` where the real one cannot be read or the copy does not run. */
export async function copyHaproxy(options: HaproxyCopyOptions): Promise<RoutingCopy> {
  const { backend, servers, wait, program, config, log } = options
  await using opened = new AsyncDisposableStack()
  const { mode, names } = await readReal(options)
  const copy = opened.use(
    await KeptProgram.create({ name: 'haproxy', program, args: (folder) => ['-db', '-f', `${folder}/${configFile}`] }),
  )
  opened.use(await standIn(mode, copy.path('servers.sock')))
  const settings = await settingsOf(options)
  await copy.write(configFile, configuration({ copy, backend, mode, names, inService: servers.old, wait, settings }))
  const stateFile = options.stateFile === undefined ? undefined : copy.path('state')
  if (stateFile) await copy.write('state', '1\n')
  const socket = copy.path('admin.sock')
  const routing = opened.use(createHaproxyRouting({ socket, backend, servers, wait, stateFile, log }))
  await copy.start(() => routing.where())
  const client = opened.use(clientOf(mode, { name: routing.name, path: copy.path('clients.sock') }))
  const all = opened.move()
  const whose = config === undefined ? 'the settings of the manual' : `the settings of ${config}`
  return {
    name: routing.name,
    detail: `a HAProxy of the worker's, with ${whose}, in front of stand-ins`,
    routing,
    client,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}

async function readReal({ socket, backend, servers, wait }: HaproxyCopyOptions) {
  const api = new RuntimeApi(socket)
  const states = await readServers(api, backend)
  const names = [...new Set([...servers.old, ...servers.new])]
  const missing = [...names, wait].filter((name) => !states.has(name))
  if (missing.length > 0) throw unusable(`its backend ${backend} has no ${missing.join(', ')}`)
  const { mode } = await readTraffic(api, backend)
  return { mode, names }
}

async function settingsOf({ config, backend }: HaproxyCopyOptions): Promise<readonly string[]> {
  if (config === undefined) return [...recommended, ...clientTimeouts]
  const file = await readFile(config, 'utf8').catch((cause: Error) => {
    throw unusable(cause.message)
  })
  const found = proxySettings(file, backend)
  if (!found) throw unusable(`${config} has no backend ${backend}`)
  // Without them it would warn; the real ones stand at a frontend.
  return [...clientTimeouts, ...found]
}

interface Configuration {
  readonly copy: KeptProgram
  readonly backend: string
  readonly mode: Traffic['mode']
  readonly names: readonly string[]
  readonly inService: readonly string[]
  readonly wait: string
  readonly settings: readonly string[]
}

function configuration({ copy, backend, mode, names, inService, wait, settings }: Configuration): string {
  const servers = names.map((name) => {
    const disabled = inService.includes(name) ? '' : ' disabled'
    return `  server ${name} unix@${copy.path('servers.sock')}${disabled}`
  })
  return `${[
    'global',
    `  stats socket ${copy.path('admin.sock')} mode 600 level admin`,
    '  maxconn 100',
    `listen ${backend}`,
    `  mode ${mode}`,
    `  bind unix@${copy.path('clients.sock')} mode 600`,
    ...settings.map((line) => `  ${line}`),
    ...servers,
    // Nothing listens there.
    `  server ${wait} 127.0.0.1:1 disabled`,
  ].join('\n')}\n`
}

/** Answers whatever comes, in either protocol. */
async function standIn(mode: Traffic['mode'], path: string): Promise<AsyncDisposable> {
  const sockets = new Set<Socket>()
  const server: Server =
    mode === 'http'
      ? createHttpServer({ keepAliveTimeout: 0 }, (_request, response) => response.end('here\n'))
      : createServer((socket) => socket.on('data', () => socket.write('here\n')))
  server.on('connection', (socket: Socket) => {
    sockets.add(socket.on('error', () => {}).on('close', () => sockets.delete(socket)))
  })
  server.listen(path)
  await once(server, 'listening')
  return {
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

function clientOf(mode: Traffic['mode'], { name, path }: { readonly name: string; readonly path: string }) {
  return new AskingClient({ name, ask: mode === 'http' ? httpAsker(path) : tcpAsker(path) })
}

function httpAsker(socketPath: string): (signal: AbortSignal) => Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  return async (signal) => {
    const request = get({ socketPath, path: '/', agent, signal })
    const [response] = (await once(request, 'response')) as [import('node:http').IncomingMessage]
    for await (const _part of response);
    if (response.statusCode !== 200) throw new Error(`HTTP ${response.statusCode}`)
  }
}

/** A connection that ends between two answers is what a hold does, once; one that never gets an answer is an error. */
function tcpAsker(path: string): (signal: AbortSignal) => Promise<void> {
  let socket: Socket | null = null
  return async (signal) => {
    for (let attempt = 1; ; attempt++) {
      socket ??= connect(path).on('error', () => {})
      if (await answer(socket, signal)) return
      socket = null
      // The first may be the one that was ended, or one that came too early to be held.
      if (attempt === 3 || signal.aborted) throw new Error('the connection was ended without an answer')
    }
  }
}

async function answer(socket: Socket, signal: AbortSignal): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const onData = () => resolve(true)
  const onClose = () => resolve(false)
  const onAbort = () => socket.destroy()
  socket.once('data', onData).once('close', onClose)
  signal.addEventListener('abort', onAbort)
  try {
    if (socket.destroyed || signal.aborted) {
      socket.destroy()
      return false
    }
    socket.write('here?\n')
    return await promise
  } finally {
    socket.off('data', onData).off('close', onClose)
    signal.removeEventListener('abort', onAbort)
  }
}

function unusable(why: string): ReplatformError {
  return new ReplatformError('routing.failed', { message: `HAProxy cannot be copied: ${why}.` })
}
