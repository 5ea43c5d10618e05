/**
 * One connection of AMQP 1.0 under a name. The broker admits one connection of a name at a time, so who holds the name
 * of a flow is its only writer: that is the epoch's guard. A mover that hangs loses its connection after the broker's
 * idle time (30 s), or at once where Jolokia lets us end it; what it had not committed is undone with it.
 */
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { ReplatformError } from '@replatform/core/errors'
import type { Side } from '@replatform/core/move'
import rhea, { type Connection, type ConnectionOptions, type EventContext } from 'rhea'
import type { ActivemqAddress } from './address.ts'

export interface ConnectOptions {
  readonly address: ActivemqAddress
  readonly side: Side
  /** Container id; a broker refuses a second connection of the same. */
  readonly name: string
}

export interface NamedConnection extends AsyncDisposable {
  readonly connection: Connection
  /** Rejects when the connection ends otherwise than by disposal. */
  readonly lost: Promise<never>
}

const connectWithinMs = 15_000

/** Throws `epoch.superseded` where another connection has the name. */
export async function openConnection(options: ConnectOptions): Promise<NamedConnection> {
  const { host, port, user, password, tls } = options.address
  const container = rhea.create_container({ id: options.name })
  const { promise: lost, reject } = Promise.withResolvers<never>()
  lost.catch(() => undefined)
  // Without a listener rhea throws from its socket.
  container.on('error', reject)
  const connection = container.connect({
    host,
    port,
    username: user,
    password,
    reconnect: false,
    container_id: options.name,
    idle_time_out: 30_000,
    ...(tls ? { transport: 'tls', ...tls, rejectUnauthorized: true } : {}),
  } as ConnectionOptions)
  let ended = false
  const fail = (error: ReplatformError) => {
    if (!ended) reject(error)
  }
  connection.on('connection_error', ({ error }: EventContext) => fail(refusal(error ?? connection.error, options)))
  connection.on('connection_close', () => fail(lostError(options, 'the broker closed it')))
  connection.on('disconnected', ({ error }: EventContext) => fail(unreachable(options, error)))
  try {
    await Promise.race([opened(connection, options), lost])
  } catch (thrown) {
    ended = true
    connection.close()
    throw thrown
  }
  return {
    connection,
    lost,
    async [Symbol.asyncDispose]() {
      if (ended) return
      ended = true
      if (!connection.is_open()) return
      const closed = Promise.race([
        once(connection, 'connection_close'),
        once(connection, 'disconnected'),
        delay(2_000),
      ])
      connection.close()
      await closed.catch(() => undefined)
    },
  }
}

/** ActiveMQ opens a connection that it is about to refuse and says so among the properties; the reason follows. */
async function opened(connection: Connection, options: ConnectOptions): Promise<void> {
  const signal = AbortSignal.timeout(connectWithinMs)
  try {
    await once(connection, 'connection_open', { signal })
  } catch (cause) {
    if (!signal.aborted) throw cause
    throw new ReplatformError('connection.timeout', { message: `${placeOf(options)} does not answer.`, cause })
  }
  const properties = (connection as unknown as { remote: { open: { properties?: object } } }).remote.open.properties
  if (properties && 'amqp:connection-establishment-failed' in properties) await delay(connectWithinMs, undefined)
}

function refusal(error: unknown, options: ConnectOptions): ReplatformError {
  const { condition, description = '' } = (error ?? {}) as { condition?: string; description?: string }
  if (condition === 'amqp:invalid-field' || /already connected/.test(description)) {
    return new ReplatformError('epoch.superseded', {
      message: `Another mover of this flow is connected to ${placeOf(options)}.`,
    })
  }
  if (/unauthorized|authentication|password/i.test(`${condition} ${description}`)) {
    return new ReplatformError('auth.failed', { message: `${placeOf(options)} refused the user or the password.` })
  }
  return lostError(options, condition ?? 'no reason')
}

function unreachable(options: ConnectOptions, error: unknown): ReplatformError {
  const { code = '', message = '' } = (error ?? {}) as { code?: string; message?: string }
  if (/CERT|SELF_SIGNED|ISSUER|SSL|TLS/i.test(`${code} ${message}`)) {
    return new ReplatformError('tls.failed', { message: `No verified TLS with ${placeOf(options)} (${code}).` })
  }
  if (/ECONNREFUSED|ENOTFOUND|EHOSTUNREACH|EAI_AGAIN/.test(code)) {
    return new ReplatformError('connection.refused', { message: `Nothing answers at ${placeOf(options)} (${code}).` })
  }
  if (/sasl|authentication/i.test(message)) {
    return new ReplatformError('auth.failed', { message: `${placeOf(options)} refused the user or the password.` })
  }
  return lostError(options, code || 'the connection dropped')
}

function lostError(options: ConnectOptions, reason: string): ReplatformError {
  return new ReplatformError('connection.lost', { message: `The connection to ${placeOf(options)} ended: ${reason}.` })
}

function placeOf({ side, address: { host, port } }: ConnectOptions): string {
  return `ActiveMQ of the ${side} at ${host}:${port}`
}
