/**
 * Debian's HAProxy (2.6) as the gateway of an estate. Each route is a backend whose servers are the sides; the one that
 * is not in maintenance is where it leads. The server `wait` refuses every connection: what it gets is tried again.
 */
import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { type ServerCertificate, serverCertificate, writeCertificate } from './certificate-authority.ts'
import { Daemon } from './daemon.ts'
import { debianProgram } from './debian-package.ts'
import { freePort } from './free-port.ts'
import { RigServer } from './rig-server.ts'

export interface HaproxyRoute {
  /** `tcp` unless said. */
  readonly mode?: 'tcp' | 'http'
  /** Where it can lead, by name. It leads to the first one until it is pointed elsewhere. */
  readonly sides: Readonly<Record<string, { readonly host: string; readonly port: number }>>
}

export interface HaproxyOptions {
  readonly routes: Readonly<Record<string, HaproxyRoute>>
  /** Clients of every route must use TLS; `true` for a certificate of the rig's authority. */
  readonly tls?: boolean | ServerCertificate
}

export async function startHaproxy(options: HaproxyOptions): Promise<HaproxyServer> {
  const program = await debianProgram('haproxy', 'haproxy')
  const certificate = await serverCertificate(options.tls ?? false)
  const daemon = await Daemon.create({
    name: 'haproxy',
    program,
    args: () => ['-db', '-f', 'haproxy.cfg'],
    ready: () => server.command('show info'),
  })
  const server = new HaproxyServer(daemon, options.routes)
  try {
    const pair = certificate && (await writeCertificate(daemon, certificate)).pair
    await daemon.write('state', '1\n')
    await daemon.start(async () => {
      for (const route of server.routes.values()) route.port = await freePort()
      await daemon.write('haproxy.cfg', configuration(server, pair))
    })
    return server
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
}

interface RouteState extends HaproxyRoute {
  port: number
}

export class HaproxyServer extends RigServer {
  readonly routes: ReadonlyMap<string, RouteState>
  readonly socketFile: string
  /** Keeps the states of all servers for the next start. */
  readonly stateFile: string
  readonly #daemon: Daemon

  constructor(daemon: Daemon, routes: Readonly<Record<string, HaproxyRoute>>) {
    super(daemon)
    this.#daemon = daemon
    this.routes = new Map(Object.entries(routes).map(([name, route]) => [name, { ...route, port: 0 }]))
    this.socketFile = daemon.path('admin.sock')
    this.stateFile = daemon.path('state')
  }

  /** Where clients of a route connect. */
  address(name: string): { readonly host: string; readonly port: number } {
    return { host: this.host, port: this.#route(name).port }
  }

  /** New connections of the route go to that side; open ones stay where they are. Outlives a restart. */
  async point(name: string, side: string): Promise<void> {
    const { sides } = this.#route(name)
    if (!(side in sides)) throw new Error(`The route ${name} has no side ${side}`)
    const others = Object.keys(sides).filter((each) => each !== side)
    for (const [each, state] of [[side, 'ready'], ...others.map((other) => [other, 'maint'])]) {
      await this.command(`set server ${name}/${each} state ${state}`)
    }
    await this.#daemon.write('state', `${await this.command('show servers state')}\n`)
  }

  /** Ends the connections that a side of the route serves. */
  async endSessions(name: string, side: string): Promise<void> {
    await this.command(`shutdown sessions server ${name}/${side}`)
  }

  /** One command of the runtime API. */
  async command(command: string): Promise<string> {
    const socket = connect(this.socketFile)
    await once(socket, 'connect')
    socket.write(`${command}\n`)
    const answer = (await text(socket)).trim()
    if (/^(unknown|no such|can't|invalid|malformed)/i.test(answer)) throw new Error(`HAProxy: ${answer}`)
    return answer
  }

  #route(name: string): RouteState {
    const route = this.routes.get(name)
    if (!route) throw new Error(`HAProxy has no route ${name}`)
    return route
  }
}

function configuration(server: HaproxyServer, pair: string | undefined): string {
  const sections = [...server.routes].flatMap(([name, { mode = 'tcp', sides, port }]) => [
    `listen ${name}`,
    `  mode ${mode}`,
    `  bind ${server.host}:${port}${pair ? ` ssl crt ${pair}` : ''}`,
    ...Object.entries(sides).map(
      ([each, { host, port: at }], index) => `  server ${each} ${host}:${at}${index > 0 ? ' disabled' : ''}`,
    ),
    // Nothing listens there.
    '  server wait 127.0.0.1:1 disabled',
  ])
  return `${[
    'global',
    `  stats socket ${server.socketFile} mode 600 level admin`,
    `  server-state-file ${server.stateFile}`,
    '  maxconn 4000',
    'defaults',
    '  load-server-state-from-file global',
    '  timeout connect 100ms',
    '  retries 3000',
    '  option redispatch 1',
    '  timeout client 10m',
    '  timeout server 10m',
    ...sections,
  ].join('\n')}\n`
}
