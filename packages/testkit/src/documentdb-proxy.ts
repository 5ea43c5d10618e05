/**
 * Stands in front of a mongod and answers in its place what `documentdb-rules.ts` refuses. A model of Amazon
 * DocumentDB, and only of its refusals: everything else is MongoDB.
 */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { BSON, type Document } from 'mongodb'
import type { ServerCertificate } from './certificate-authority.ts'
import { refusalOf } from './documentdb-rules.ts'

export interface DocumentdbProxyOptions {
  readonly target: { readonly host: string; readonly port: number }
  /** Clients must use TLS with it; the way to the target is in clear. */
  readonly certificate?: ServerCertificate | undefined
}

const opMsg = 2013
const headerBytes = 16

export async function startDocumentdbProxy(options: DocumentdbProxyOptions): Promise<DocumentdbProxy> {
  const proxy = new DocumentdbProxy(options)
  await proxy.listen()
  return proxy
}

export class DocumentdbProxy implements AsyncDisposable {
  readonly host = '127.0.0.1'
  readonly #target: { readonly host: string; readonly port: number }
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  constructor({ target, certificate }: DocumentdbProxyOptions) {
    this.#target = target
    this.#server = certificate
      ? createTlsServer({ cert: certificate.certificate, key: certificate.key }, (client) => this.#serve(client))
      : createServer((client) => this.#serve(client))
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen({ host: this.host, port: 0 }, resolve)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  #serve(client: Socket): void {
    const { host, port } = this.#target
    const server = connect({ host, port })
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket)
      socket.setNoDelay()
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        this.#sockets.delete(socket)
        other.destroySoon()
      })
    }
    server.pipe(client)
    let pending = Buffer.alloc(0)
    client.on('data', (data: Buffer) => {
      pending = Buffer.concat([pending, data])
      for (let bytes = messageBytes(pending); bytes > 0; bytes = messageBytes(pending)) {
        const message = pending.subarray(0, bytes)
        pending = pending.subarray(bytes)
        const refusal = refusalReply(message)
        if (refusal) client.write(refusal)
        else server.write(message)
      }
    })
  }
}

/** Length of the message at the beginning, 0 while it has not arrived as a whole. */
function messageBytes(data: Buffer): number {
  if (data.length < headerBytes) return 0
  const bytes = data.readInt32LE(0)
  return data.length < bytes ? 0 : bytes
}

function refusalReply(message: Buffer): Buffer | undefined {
  if (message.readInt32LE(12) !== opMsg) return undefined
  const refusal = refusalOf(readCommand(message))
  return refusal && reply(message.readInt32LE(4), { ok: 0, ...refusal })
}

/** The command as if its document sequences were arrays in it; inserted documents are left out. */
function readCommand(message: Buffer): Document {
  const command: Document = {}
  const sequences: Document = {}
  for (let at = headerBytes + 4; at < message.length; ) {
    const kind = message.readUInt8(at++)
    // A checksum may follow the sections.
    if (kind > 1 || at + 4 > message.length) break
    const bytes = message.readInt32LE(at)
    const section = message.subarray(at, at + bytes)
    at += bytes
    if (kind === 0) Object.assign(command, BSON.deserialize(section))
    else Object.assign(sequences, readSequence(section))
  }
  return { ...command, ...sequences }
}

function readSequence(section: Buffer): Document {
  const end = section.indexOf(0, 4)
  const name = section.toString('latin1', 4, end)
  if (name === 'documents') return {}
  const documents: Document[] = []
  for (let at = end + 1; at < section.length; at += section.readInt32LE(at)) {
    documents.push(BSON.deserialize(section.subarray(at, at + section.readInt32LE(at))))
  }
  return { [name]: documents }
}

function reply(requestId: number, answer: Document): Buffer {
  const body = BSON.serialize(answer)
  const head = Buffer.alloc(headerBytes + 5)
  head.writeInt32LE(head.length + body.length, 0)
  head.writeInt32LE(requestId, 8)
  head.writeInt32LE(opMsg, 12)
  return Buffer.concat([head, body])
}
