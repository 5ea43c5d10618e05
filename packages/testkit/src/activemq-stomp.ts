import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'

export interface StompLogin {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly ca: string | undefined
}

/** Logs in over STOMP and leaves again; throws with the broker's reason when it refuses. */
export async function stompLogin({ host, port, user, password, ca }: StompLogin): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const socket = ca === undefined ? connect({ host, port }) : connectTls({ host, port, ca })
  let answer = ''
  socket.setEncoding('utf8')
  socket.setTimeout(5_000, () => socket.destroy(new Error('The broker does not answer')))
  socket.on('error', reject)
  socket.on('close', () => reject(new Error(`The broker closed the connection: ${answer.trim()}`)))
  socket.on('data', (data: string) => {
    answer += data
    if (!answer.includes('\0')) return
    if (answer.startsWith('CONNECTED\n')) resolve()
    else reject(new Error(`The broker refused: ${answer.split('\n\n')[0]}`))
  })
  socket.write(`CONNECT\naccept-version:1.2\nhost:${host}\nlogin:${user}\npasscode:${password}\n\n\0`)
  try {
    await promise
  } finally {
    socket.destroy()
  }
}
