/**
 * Writes batches that reach the target whole or not at all, and only while nobody has raised the epoch.
 *
 *   1. WATCH epoch, GET epoch      sent behind the batch before, so that it costs no round trip
 *   2. the epoch is still ours     so nobody had raised it when the watch began
 *   3. MULTI … EXEC                refused by the target when it was raised since
 *
 * A process that was paused for an hour between 2 and 3 writes nothing.
 */
import { ReplatformError } from '@replatform/core/errors'
import type { BatchWriter } from './batch-writer.ts'
import { CommandBuffer, encodeCommand } from './command-buffer.ts'
import type { Connection } from './connection.ts'
import type { ControlKeys } from './control-keys.ts'
import { encodeLarge, type LargeCommand } from './large-command.ts'
import { toRedisError, withoutArguments } from './redis-error.ts'
import { RedisReplyError, type RespValue } from './resp-reader.ts'

const multi = encodeCommand(['MULTI'])
const exec = encodeCommand(['EXEC'])

export interface EpochWriterOptions {
  readonly target: Connection
  readonly keys: ControlKeys
  readonly epoch: number
}

export class EpochWriter implements BatchWriter, AsyncDisposable {
  readonly options: EpochWriterOptions
  readonly #watch: Buffer
  #armed: Promise<RespValue[]> | null = null

  constructor(options: EpochWriterOptions) {
    this.options = options
    const { epoch } = options.keys
    this.#watch = Buffer.concat([
      encodeCommand(['SELECT', 0]),
      encodeCommand(['WATCH', epoch]),
      encodeCommand(['GET', epoch]),
    ])
  }

  createBuffer(bytes: number): CommandBuffer {
    return new CommandBuffer(bytes)
  }

  /**
   * Carries out the commands of the buffer, which must stay as it is meanwhile and must not end in another database
   * than it says itself. Rejects with `epoch.superseded`, with `redis.apply-refused` when a command among those
   * carried out failed (the others stand then), or with what kept all of them from being carried out.
   */
  async commit(buffer: CommandBuffer): Promise<void> {
    const { target } = this.options
    await this.#requireEpoch(await (this.#armed ?? this.#arm()))
    const count = buffer.commands
    const done = Promise.all([target.exchange(multi, 1), target.exchange(buffer.view, count), this.#execute()])
    this.#armed = this.#arm()
    this.#armed.catch(() => {})
    const [, queued, [outcome = null]] = await done
    await this.#judge(queued, outcome)
  }

  async #judge(queued: readonly RespValue[], outcome: RespValue): Promise<void> {
    if (outcome === null) {
      await this.#requireEpoch(await (this.#armed ?? this.#arm()))
      throw new ReplatformError('internal', { message: 'The target gave up a batch although nobody raised the epoch.' })
    }
    const failed = [...queued, ...(Array.isArray(outcome) ? outcome : [outcome])].find(
      (r) => r instanceof RedisReplyError,
    )
    if (failed) throw this.#refused(failed, Array.isArray(outcome))
  }

  async commitLarge(db: number, command: LargeCommand): Promise<void> {
    const { target } = this.options
    await this.#requireEpoch(await (this.#armed ?? this.#arm()))
    this.#armed = null
    await target.exchange(multi, 1)
    const queued = await target.pipeline([['SELECT', db]])
    const refused = await target.stream(encodeLarge(command))
    const [outcome = null] = await this.#execute()
    await this.#judge([...queued, ...refused], outcome)
  }

  /**
   * Carries out commands that do not fit into memory; the generator returns how many they were. They are whole or not
   * there at all, as in `commit`.
   */
  async commitStream(commands: AsyncGenerator<Buffer, number>): Promise<void> {
    const { target } = this.options
    await this.#requireEpoch(await (this.#armed ?? this.#arm()))
    this.#armed = null
    await target.exchange(multi, 1)
    const refused = await target.stream(commands)
    const [outcome = null] = await this.#execute()
    await this.#judge(refused, outcome)
  }

  /** What commands answer may be as large as what they replaced, and nobody reads it. */
  #execute(): Promise<RespValue[]> {
    return this.options.target.exchange(exec, 1, { skims: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.options.target.close()
  }

  #arm(): Promise<RespValue[]> {
    return this.options.target.exchange(this.#watch, 3)
  }

  async #requireEpoch([, , found]: RespValue[]): Promise<void> {
    if (String(found) === String(this.options.epoch)) return
    if (found instanceof RedisReplyError) throw toRedisError(found, this.options.target.place)
    throw new ReplatformError('epoch.superseded', {
      message: `The target is at epoch ${String(found)}, this mover holds ${this.options.epoch}.`,
    })
  }

  #refused(failed: RedisReplyError, wasCarriedOut: boolean): ReplatformError {
    if (!wasCarriedOut && ['NOPERM', 'OOM', 'LOADING', 'READONLY'].includes(failed.code)) {
      return toRedisError(failed, this.options.target.place)
    }
    const message = `The target refused a command: ${withoutArguments(failed.message)}.`
    return new ReplatformError('redis.apply-refused', { message })
  }
}
