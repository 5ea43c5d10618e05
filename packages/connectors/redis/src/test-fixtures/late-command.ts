/** A connection whose chosen command hangs in the network until it is let go, long after whoever sent it gave it up. */
import { startTcpProxy } from '@replatform/testkit/tcp-proxy'
import { type Connection, openServer } from '../connection.ts'

export interface LateCommand extends AsyncDisposable {
  readonly connection: Connection
  /** Resolves when the command was sent. */
  readonly sent: Promise<void>
  /** What was sent arrives. */
  arrive(): Promise<void>
}

/** From the first bytes on that contain `word`, nothing of the connection gets through. */
export async function openLate(url: string, word: string): Promise<LateCommand> {
  await using stack = new AsyncDisposableStack()
  const { hostname, port } = new URL(url)
  const proxy = stack.use(await startTcpProxy({ host: hostname, port: Number(port) }))
  const connection = stack.use(await openServer({ url: proxy.url(url), side: 'source' }))
  const { promise: sent, resolve } = Promise.withResolvers<void>()
  const exchange = connection.exchange.bind(connection)
  connection.exchange = (bytes, count) => {
    const isMeant = [bytes].flat().some((piece) => piece.includes(word))
    if (isMeant) proxy.blackhole()
    const answer = exchange(bytes, count)
    if (isMeant) resolve()
    return answer
  }
  const all = stack.move()
  return { connection, sent, arrive: () => proxy.restore(), [Symbol.asyncDispose]: () => all.disposeAsync() }
}
