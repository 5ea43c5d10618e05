/**
 * Writes batches on one part of a clustered target, whole or not at all. A transaction of a cluster may touch one slot
 * only; a script may touch every slot of the server that it runs on, and is as little interrupted. So a batch is a
 * script, which looks by itself
 *
 *   - at the epoch: whoever was replaced writes nothing;
 *   - at the place that the part has reached: a server that came back older than it was (a failover lost what was not
 *     replicated yet) is not written as though it were whole, and no batch is applied twice.
 */
import { ReplatformError } from '@replatform/core/errors'
import type { BatchWriter } from './batch-writer.ts'
import { CommandBuffer, encodeCommand } from './command-buffer.ts'
import type { Connection } from './connection.ts'
import type { ControlKeys } from './control-keys.ts'
import { encodeLarge, type LargeCommand } from './large-command.ts'
import { toRedisError, withoutArguments } from './redis-error.ts'
import { RedisReplyError } from './resp-reader.ts'
import { ScriptBuffer } from './script-buffer.ts'

/** How far a part is: `step` commands of the unit behind `offset` are applied as well. */
export interface PartPlace {
  readonly offset: number
  readonly step: number
}

/** From where a part is to where it will be. */
export interface Advance {
  readonly from: PartPlace
  readonly to: PartPlace
  readonly replid: string
  /** Behind the last command of the shard that wrote; see `Checkpoint`. */
  readonly written: number
}

export function isBehind(a: PartPlace, b: PartPlace): boolean {
  return a.offset < b.offset || (a.offset === b.offset && a.step < b.step)
}

// The first write is one that a full memory refuses, so that nothing was done before.
const script = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('SUPERSEDED by another mover') end
if ARGV[2] == '' then redis.call('SET', KEYS[1], ARGV[1])
else
  local at = redis.call('HMGET', KEYS[2], 'offset', 'step')
  if tostring(at[1]) .. ':' .. tostring(at[2]) ~= ARGV[2] then return redis.error_reply('ELSEWHERE than expected') end
  redis.call('HSET', KEYS[2], 'replid', ARGV[3], 'offset', ARGV[4], 'step', ARGV[5], 'written', ARGV[6], 'lowered', 0)
end
local i, failed = 7, nil
while i <= #ARGV do
  local n = tonumber(ARGV[i])
  local reply = redis.pcall(unpack(ARGV, i + 1, i + n))
  if not failed and type(reply) == 'table' and reply.err then failed = reply.err end
  i = i + n + 1
end
if not failed then return redis.status_reply('OK') end
if ARGV[2] ~= '' then redis.pcall('HSET', KEYS[2], 'broken', string.match(failed, '^[%w -]*')) end
return redis.error_reply('REFUSED ' .. failed)`

const scriptWords = ['EVAL', script, 2] as const

/** A command whose arguments come encoded, one behind the other. */
export interface EncodedCommand {
  /** The name included. */
  readonly count: number
  readonly args: AsyncIterable<Buffer>
}

export interface PartWriterOptions {
  readonly target: Connection
  readonly keys: ControlKeys
  readonly epoch: number
}

export class PartWriter implements BatchWriter, AsyncDisposable {
  readonly #options: PartWriterOptions

  constructor(options: PartWriterOptions) {
    this.#options = options
  }

  get target(): Connection {
    return this.#options.target
  }

  get keys(): ControlKeys {
    return this.#options.keys
  }

  createBuffer(bytes: number): ScriptBuffer {
    return new ScriptBuffer(bytes)
  }

  /** Without a checkpoint: for what is done again from its beginning when it was interrupted. */
  commit(buffer: ScriptBuffer): Promise<void> {
    return this.#run(buffer, ['', '', '', '', ''])
  }

  async commitLarge(_db: number, { head, tail, ...large }: LargeCommand): Promise<void> {
    const { target, keys, epoch } = this.#options
    const words = [...scriptWords, keys.epoch, keys.checkpoint, epoch, '', '', '', '', '']
    const command = { ...large, head: [...words, head.length + 1 + tail.length, ...head], tail }
    const [reply] = await target.stream(encodeLarge(command))
    if (reply) throw this.#refused(reply)
  }

  /** One command that does not fit into memory, and of which a script can pass on the arguments. */
  async commitLargeAt({ count, args }: EncodedCommand, { from, to, replid, written }: Advance): Promise<void> {
    const { target, keys, epoch } = this.#options
    const place = [`${from.offset}:${from.step}`, replid, String(to.offset), String(to.step), String(written)]
    const words = [...scriptWords, keys.epoch, keys.checkpoint, epoch, ...place, count]
    const head = new CommandBuffer()
    head.begin(words.length + count)
    for (const word of words) head.argument(word)
    const [reply] = await target.stream(
      (async function* () {
        yield head.view
        yield* args
        return 1
      })(),
    )
    if (reply) throw this.#refused(reply)
  }

  /** The buffer must stay as it is meanwhile. Rejects with `epoch.superseded`, `redis.apply-refused` and their kin. */
  commitAt(buffer: ScriptBuffer, { from, to, replid, written }: Advance): Promise<void> {
    const place = [replid, String(to.offset), String(to.step), String(written)]
    return this.#run(buffer, [`${from.offset}:${from.step}`, ...place])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.target.close()
  }

  async #run(buffer: ScriptBuffer, place: readonly string[]): Promise<void> {
    const { target, keys, epoch } = this.#options
    const head = encodeCommand([...scriptWords, keys.epoch, keys.checkpoint, epoch, ...place])
    const words = scriptWords.length + 3 + place.length + buffer.arguments
    const counted = Buffer.concat([Buffer.from(`*${words}`), head.subarray(head.indexOf('\r\n'))])
    const [reply] = await target.exchange([counted, buffer.view], 1)
    if (reply instanceof RedisReplyError) throw this.#refused(reply)
  }

  #refused(reply: RedisReplyError): ReplatformError {
    const { place } = this.#options.target
    if (/non local key/.test(reply.message)) return toRedisError(reply, place)
    switch (reply.code) {
      case 'SUPERSEDED':
        return new ReplatformError('epoch.superseded', {
          message: `The target is no longer at epoch ${this.#options.epoch}.`,
        })
      case 'ELSEWHERE':
        return new ReplatformError('redis.target-went-back', {
          message: `A part of the target on ${place.host}:${place.port} is not where this mover had brought it.`,
        })
      case 'REFUSED':
        return new ReplatformError('redis.apply-refused', {
          message: `The target refused a command: ${withoutArguments(reply.message.replace(/^REFUSED /, '').replace(/ script: .*$/, ''))}.`,
        })
      default:
        return toRedisError(reply, place)
    }
  }
}
