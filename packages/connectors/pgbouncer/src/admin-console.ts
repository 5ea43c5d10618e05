import { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { ReplatformError } from '@replatform/core/errors'
import pg from 'pg'

/** A row of an answer; the console gives every value as text. */
export type ConsoleRow = Readonly<Record<string, string | null>>

/** How long any command but PAUSE may take: they only read or set what is in PgBouncer's memory. */
const answerWithinMs = 5_000

/**
 * PgBouncer's admin console over one connection that is kept open, since making one costs more than any command, and
 * made anew when it broke. Failures are `routing.failed` and never carry the address with its password.
 */
export class AdminConsole implements AsyncDisposable {
  /** Host and port, for messages. */
  readonly address: string
  readonly #url: string
  #client: pg.Client | undefined

  constructor(url: string) {
    this.address = publicPart(url)
    this.#url = url
  }

  /** Another connection to the same console. */
  another(): AdminConsole {
    return new AdminConsole(this.#url)
  }

  /** Runs a command again when it met a connection that had broken since: every command that we use may be repeated. */
  async run(command: string, withinMs = answerWithinMs): Promise<ConsoleRow[]> {
    const deadline = AbortSignal.timeout(Math.ceil(withinMs))
    const reused = this.#client !== undefined
    try {
      return await this.#send(command, deadline).catch((error: unknown) => {
        const wasStale = reused && this.#client === undefined && !deadline.aborted
        if (!wasStale) throw error
        return this.#send(command, deadline)
      })
    } catch (cause) {
      const reason = deadline.aborted ? `no answer within ${Math.ceil(withinMs)} ms` : messageOf(cause)
      throw new ReplatformError('routing.failed', {
        message: `PgBouncer's admin console at ${this.address} did not carry out ${command}: ${reason}.`,
        cause,
      })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#drop()
  }

  async #send(command: string, deadline: AbortSignal): Promise<ConsoleRow[]> {
    const { promise: late, reject } = Promise.withResolvers<never>()
    const onDeadline = (): void => reject(deadline.reason)
    deadline.addEventListener('abort', onDeadline)
    try {
      return await Promise.race([this.#ask(command, deadline), late])
    } catch (error) {
      // Whatever is not the console's own word leaves the connection in a state that nobody knows.
      if (!(error instanceof pg.DatabaseError)) this.#drop()
      throw error
    } finally {
      deadline.removeEventListener('abort', onDeadline)
    }
  }

  async #ask(command: string, deadline: AbortSignal): Promise<ConsoleRow[]> {
    const client = this.#client ?? (await this.#connect())
    if (deadline.aborted) {
      // A PAUSE that went out now would hold writes that nobody releases.
      sever(client)
      throw deadline.reason
    }
    this.#client = client
    // The console speaks the simple protocol only, which is what pg uses for a text without parameters.
    const { rows } = await client.query<ConsoleRow>(command)
    return rows
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: this.#url,
      connectionTimeoutMillis: answerWithinMs,
      types: { getTypeParser: () => (value: string) => value },
    })
    const forget = (): void => {
      if (this.#client === client) this.#client = undefined
    }
    client.on('error', forget)
    client.on('end', forget)
    await client.connect()
    return client
  }

  #drop(): void {
    if (this.#client) sever(this.#client)
    this.#client = undefined
  }
}

/** Ends a connection without a goodbye, and takes back what is still on its way: a late PAUSE must not arrive. */
function sever(client: pg.Client): void {
  const { stream } = client.connection
  // Only TCP has a reset; a socket in a file system has no address.
  const isTcp = stream instanceof Socket && stream.remoteAddress !== undefined
  if (isTcp && !(stream instanceof TLSSocket)) stream.resetAndDestroy()
  else stream.destroy()
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  // Node gives several failed addresses as one error without a text.
  return error instanceof AggregateError ? error.errors.map(messageOf).join(', ') : error.message
}

function publicPart(url: string): string {
  if (!URL.canParse(url)) {
    throw new ReplatformError('routing.failed', { message: "The address of PgBouncer's admin console is not a URL." })
  }
  const { hostname, port } = new URL(url)
  return `${hostname}:${port || '6432'}`
}
