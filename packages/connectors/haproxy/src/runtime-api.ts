import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { ReplatformError } from '@replatform/core/errors'

/** Every command that we use only reads or sets what is in HAProxy's memory. */
const answerWithinMs = 5_000

/**
 * HAProxy's runtime API (management guide, "Unix Socket commands"), one connection for each line of commands: it closes
 * after its answer. Every command that we use may be repeated. Failures are `routing.failed`.
 */
export class RuntimeApi {
  /** As it stands in the estate: a path, or host:port. */
  readonly address: string

  constructor(address: string) {
    this.address = address
  }

  /** Runs commands in their order and returns what they answered together. Throws where HAProxy cannot be asked. */
  async ask(commands: readonly string[], withinMs = answerWithinMs): Promise<string> {
    const signal = AbortSignal.timeout(Math.max(1, Math.ceil(withinMs)))
    const socket = this.#connect()
    const onLate = (): void => void socket.destroy(new Error(`no answer within ${Math.ceil(withinMs)} ms`))
    signal.addEventListener('abort', onLate)
    try {
      await once(socket, 'connect')
      socket.end(`${commands.join('; ')}\n`)
      const parts: Buffer[] = []
      for await (const part of socket) parts.push(part as Buffer)
      return Buffer.concat(parts).toString('utf8').trim()
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw new ReplatformError('routing.failed', {
        message: `HAProxy's runtime API at ${this.address} did not carry out ${commands.join('; ')}: ${reason}.`,
        cause,
      })
    } finally {
      signal.removeEventListener('abort', onLate)
      socket.destroy()
    }
  }

  /** Runs commands that answer nothing when they were carried out. */
  async run(commands: readonly string[], withinMs = answerWithinMs): Promise<void> {
    const answer = await this.ask(commands, withinMs)
    if (answer === '') return
    throw new ReplatformError('routing.failed', {
      message: `HAProxy at ${this.address} answered ${commands.join('; ')} with: ${answer.split('\n')[0]}`,
    })
  }

  #connect(): Socket {
    const { address } = this
    if (address.startsWith('/')) return connect(address)
    const at = address.lastIndexOf(':')
    return connect(Number(address.slice(at + 1)), address.slice(0, at).replace(/^\[|\]$/g, ''))
  }
}
