/** Whether a server speaks Redis without TLS. Asked when a handshake is not answered: such a server waits for more. */
import { connect } from 'node:net'

const withinMs = 2_000

/** Never rejects. A server that speaks TLS answers plain text with an alert, or closes. */
export async function speaksPlain({ host, port }: { readonly host: string; readonly port: number }): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect({ host, port })
  const timer = setTimeout(() => resolve(false), withinMs)
  socket.once('connect', () => socket.write('PING\r\n'))
  // +PONG, or -NOAUTH.
  socket.once('data', (data) => resolve(data[0] === 0x2b || data[0] === 0x2d))
  socket.once('error', () => resolve(false))
  socket.once('close', () => resolve(false))
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    socket.destroy()
  }
}
