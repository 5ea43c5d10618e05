import { type HaproxyServer, startHaproxy } from '@replatform/testkit/haproxy-server'
import type { HaproxyRoutingOptions } from '../routing.ts'
import { startHttpSide, startTcpSide, type TestSide } from './sides.ts'

const log = { info() {}, warn() {}, error() {} }

export interface Gateway extends AsyncDisposable {
  readonly proxy: HaproxyServer
  readonly old: TestSide
  readonly fresh: TestSide
  /** How a routing is opened on it; where the sides are is left out. */
  readonly options: HaproxyRoutingOptions
}

/** A real HAProxy whose backend `wallet` stands before both sides, in that order in service. */
export async function startGateway(mode: 'tcp' | 'http'): Promise<Gateway> {
  await using stack = new AsyncDisposableStack()
  const start = mode === 'tcp' ? startTcpSide : startHttpSide
  const old = stack.use(await start('old'))
  const fresh = stack.use(await start('new'))
  const proxy = stack.use(await startHaproxy({ routes: { wallet: { mode, sides: { before: old, after: fresh } } } }))
  const all = stack.move()
  const options: HaproxyRoutingOptions = {
    socket: proxy.socketFile,
    backend: 'wallet',
    servers: { old: ['before'], new: ['after'] },
    wait: 'wait',
    stateFile: proxy.stateFile,
    log,
  }
  return { proxy, old, fresh, options, [Symbol.asyncDispose]: () => all.disposeAsync() }
}
