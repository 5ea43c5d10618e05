/** Two sides that say which they are, one request or command at a time, and count what they have carried out. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export interface TestSide extends AsyncDisposable {
  readonly host: string
  readonly port: number
  /** What was carried out, in its order: lines of the `tcp` side, paths of the `http` side. */
  readonly done: string[]
  /** How long each takes. */
  takesMs: number
}

/** A line is a command; its answer is the name of the side. */
export function startTcpSide(name: string): Promise<TestSide> {
  return startSide((text) => {
    const end = text.indexOf('\n')
    return end < 0 ? null : { length: end + 1, what: text.slice(0, end), answer: `${name}\n` }
  })
}

export function startHttpSide(name: string): Promise<TestSide> {
  return startSide((text) => {
    const end = text.indexOf('\r\n\r\n')
    if (end < 0) return null
    const answer = `HTTP/1.1 200 OK\r\nContent-Length: ${name.length}\r\n\r\n${name}`
    return { length: end + 4, what: text.split(' ')[1] ?? '', answer }
  })
}

type Parse = (text: string) => { readonly length: number; readonly what: string; readonly answer: string } | null

async function startSide(parse: Parse): Promise<TestSide> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}))
    void serve(socket, parse, side)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const side = {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    done: [] as string[],
    takesMs: 2,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
  return side
}

async function serve(socket: Socket, parse: Parse, side: TestSide): Promise<void> {
  let text = ''
  try {
    for await (const part of socket) {
      text += String(part)
      for (let next = parse(text); next; next = parse(text)) {
        text = text.slice(next.length)
        await sleep(side.takesMs)
        side.done.push(next.what)
        socket.write(next.answer)
      }
    }
  } catch {
    // The client, or HAProxy for it, has gone.
  }
}
