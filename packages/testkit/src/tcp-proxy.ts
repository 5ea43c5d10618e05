import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'

/** What may be on its way in one direction of a connection, as the window of TCP is for a long line. */
const windowBytes = 8 * 1024 * 1024

/** The network in front of a server, with its faults on request. */
export class TcpProxy implements AsyncDisposable {
  readonly host = '127.0.0.1'
  readonly #target: { readonly host: string; readonly port: number }
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  /** The server's connection of each client's. */
  readonly #pairs = new Map<Socket, Socket>()
  /** Clients whose server is gone without their knowing. */
  readonly #halfOpen = new Set<Socket>()
  #port = 0
  #delayMs = 0
  #bytesPerSecond = Number.POSITIVE_INFINITY
  /** When what was let through under the limit will all have passed. */
  #busyUntilMs = 0
  #opened = Promise.resolve()
  #open: (() => void) | undefined

  constructor(target: { readonly host: string; readonly port: number }) {
    this.#target = target
    this.#server = createServer((client) => this.#forward(client))
  }

  get port(): number {
    return this.#port
  }

  /** Clients that are connected now. */
  get connections(): number {
    return this.#sockets.size / 2
  }

  /** The same address by way of the proxy. */
  url(direct: string): string {
    const address = new URL(direct)
    address.hostname = this.host
    address.port = String(this.port)
    return address.href
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen({ host: this.host, port: this.#port }, resolve)
    })
    this.#port = (this.#server.address() as AddressInfo).port
  }

  /** Resets every open connection; new ones go through. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  /** Resets every open connection and refuses new ones, until `restore`: the server is down. */
  refuse(): void {
    this.#server.close()
    this.cut()
  }

  /**
   * Nothing gets through in either direction, and nobody is told, until `restore`: a host that does not answer. What
   * was sent meanwhile arrives afterwards, as TCP would send it again.
   */
  blackhole(): void {
    if (this.#open) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#opened = promise
    this.#open = resolve
  }

  /**
   * Servers see their open connections reset; clients are not told, and what they send vanishes: a server that lost
   * power and came back. New connections go through. `restore` resets the clients, as the server would by then.
   */
  halfOpen(): void {
    for (const [client, server] of this.#pairs) {
      this.#halfOpen.add(client)
      client.unpipe()
      client.resume()
      server.resetAndDestroy()
    }
  }

  /** All connections share so much, both directions together, until `restore`. */
  limitBandwidth(bytesPerSecond: number): void {
    this.#bytesPerSecond = bytesPerSecond
  }

  /** Each piece of data arrives later by so much, in both directions; those behind it do not wait for it. */
  delay(ms: number): void {
    this.#delayMs = ms
  }

  /** Ends every fault. */
  async restore(): Promise<void> {
    this.#delayMs = 0
    this.#bytesPerSecond = Number.POSITIVE_INFINITY
    this.#busyUntilMs = 0
    for (const client of this.#halfOpen) client.resetAndDestroy()
    this.#open?.()
    this.#open = undefined
    if (!this.#server.listening) await this.listen()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#open?.()
    const closed = new Promise((resolve) => this.#server.close(resolve))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  #forward(client: Socket): void {
    const { host, port } = this.#target
    const server = connect({ host, port })
    this.#pairs.set(client, server)
    client.once('close', () => {
      this.#pairs.delete(client)
      this.#halfOpen.delete(client)
    })
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket)
      socket.setNoDelay()
      // Either end's failure is the other's: a reset must not arrive as an orderly end.
      socket.on('error', () => other.resetAndDestroy())
      socket.on('close', () => {
        this.#sockets.delete(socket)
        // After an orderly end what is on its way still arrives.
        if (!socket.readableEnded && !this.#halfOpen.has(other)) other.destroySoon()
      })
      socket.pipe(this.#wire(other))
    }
  }

  /** A line to `end`: pieces get through one after the other, and are then on their way together. */
  #wire(end: Socket): Writable {
    let onItsWay = 0
    let arrived: Promise<unknown> = Promise.resolve()
    let goOn = () => {}
    const arrive = async (data: Buffer) => {
      if (!end.write(data)) await drained(end)
      onItsWay -= data.length
      if (onItsWay < windowBytes) goOn()
    }
    return new Writable({
      write: async (data: Buffer, _encoding, done) => {
        await this.#passage(data.length)
        onItsWay += data.length
        arrived = Promise.all([this.#delayMs > 0 ? sleep(this.#delayMs) : undefined, arrived]).then(() => arrive(data))
        if (this.#delayMs === 0) await arrived
        else if (onItsWay >= windowBytes) await new Promise<void>((resolve) => (goOn = resolve))
        done()
      },
      final: (done) => void arrived.then(() => end.end(() => done())),
    })
  }

  async #passage(bytes: number): Promise<void> {
    await this.#opened
    const waitMs = this.#queueMs(bytes)
    if (waitMs > 0) await sleep(waitMs)
  }

  /** How long these bytes take to get through behind all that came before them. */
  #queueMs(bytes: number): number {
    if (this.#bytesPerSecond === Number.POSITIVE_INFINITY) return 0
    const nowMs = performance.now()
    this.#busyUntilMs = Math.max(nowMs, this.#busyUntilMs) + (bytes * 1_000) / this.#bytesPerSecond
    return this.#busyUntilMs - nowMs
  }
}

export async function startTcpProxy(target: { readonly host: string; readonly port: number }): Promise<TcpProxy> {
  const proxy = new TcpProxy(target)
  await proxy.listen()
  return proxy
}

/** Until a socket takes more, or nothing any more. */
async function drained(socket: Socket): Promise<void> {
  if (socket.destroyed) return
  const { promise, resolve } = Promise.withResolvers<void>()
  for (const event of ['drain', 'close']) socket.once(event, resolve)
  await promise
  for (const event of ['drain', 'close']) socket.off(event, resolve)
}
