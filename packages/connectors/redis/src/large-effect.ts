/** What a command of the source that is too large to be held becomes on the target. */
import { type Argument, CommandBuffer } from './command-buffer.ts'
import { rewriteCommand, unknownCommand } from './command-rewriter.ts'
import { isPlain, writtenKeys } from './command-table.ts'
import { mostOutlined, type OutlinedArgument, tooLarge } from './large-scan.ts'
import type { LargeStreamCommand } from './large-unit.ts'
import { RespReader } from './resp-reader.ts'
import { shapeOf } from './split-command.ts'

export type LargeEffect =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'write'
      /** The only one that it writes; null where it may write several. */
      readonly key: Buffer | null
      /** Arguments, the name included. */
      readonly count: number
      /** They, encoded one behind the other. Read once. */
      readonly args: AsyncIterable<Buffer>
    }

/** Such commands name one value and how long it lives. */
const withDeadline = new Set(['set', 'setex', 'psetex', 'restore'])
/** Nothing that has to do with data. */
const leftOut = new Set(['publish', 'spublish', 'script'])
/** Doing it again, or in parts, comes to the same. */
const repeatable = new Set('hset hmset sadd srem hdel zrem zadd geoadd pfadd xdel xack'.split(' '))

/** As it was sent, in lower case. */
export function nameOf({ outline }: LargeStreamCommand): string {
  return outline.args[0]?.bytes?.toString('latin1').toLowerCase() ?? ''
}

/** `sourceNowMs`: see `rewriteCommand`. Throws `redis.unknown-command` or `redis.value-too-large`. */
export function largeEffect(command: LargeStreamCommand, sourceNowMs: number): LargeEffect {
  const { outline } = command
  const { count, headBytes, bytes } = outline
  const name = nameOf(command)
  const args = { [Symbol.asyncIterator]: () => command.read(headBytes, bytes) }
  if (isPlain(name, count)) return { kind: 'write', key: outline.args[1]?.bytes ?? null, count, args }
  if (leftOut.has(name)) return { kind: 'none' }
  if (withDeadline.has(name)) return withItsDeadline(command, sourceNowMs)
  if (writtenKeys(name) || name === 'function') return { kind: 'write', key: null, count, args }
  throw unknownCommand(name)
}

/** The value stays where it is, and has an empty stand-in while the words around it are looked at. */
function withItsDeadline(command: LargeStreamCommand, sourceNowMs: number): LargeEffect {
  const { count, args } = command.outline
  if (count > mostOutlined) throw tooLarge('more options than there are')
  const standIns = new Map<Argument, OutlinedArgument>()
  const words = args.map((arg) => {
    if (arg.bytes) return arg.bytes
    const standIn = Buffer.alloc(0)
    standIns.set(standIn, arg)
    return standIn
  })
  const effect = rewriteCommand(words, sourceNowMs)
  if (effect.kind !== 'write') return { kind: 'none' }
  const encoded = encodeWith(effect.args, standIns, command)
  return { kind: 'write', key: effect.keys[0] ?? null, count: effect.args.length, args: encoded }
}

async function* encodeWith(
  args: readonly Argument[],
  standIns: ReadonlyMap<Argument, OutlinedArgument>,
  command: LargeStreamCommand,
): AsyncGenerator<Buffer> {
  let buffer = new CommandBuffer(1_024)
  for (const arg of args) {
    const large = standIns.get(arg)
    if (!large) {
      buffer.argument(arg)
      continue
    }
    buffer.beginArgument(large.length, 0)
    yield buffer.view
    yield* command.read(large.start, large.start + large.length)
    buffer = new CommandBuffer(1_024)
    buffer.endArgument()
  }
  yield buffer.view
}

const partBytes = 1 << 20
const partItems = 1_000

/**
 * Whether it can be carried out in parts. `isRepeated`: parts that were carried out may be carried out once more, after
 * an interruption.
 */
export function hasParts(command: LargeStreamCommand, { isRepeated }: { readonly isRepeated: boolean }): boolean {
  const name = nameOf(command)
  if (isRepeated && !repeatable.has(name)) return false
  return command.outline.longestBytes <= partBytes && shapeOf(name, wordsOf(command)) !== null
}

/** Commands that together do what it does, in their order; always the same ones. */
export async function* partsOf(command: LargeStreamCommand): AsyncGenerator<Buffer[]> {
  const { headBytes, bytes } = command.outline
  const [head = 0, step = 1] = shapeOf(nameOf(command), wordsOf(command)) ?? []
  const reader = new RespReader()
  const first: Buffer[] = []
  let items: Buffer[] = []
  let held = 0
  for await (const piece of command.read(headBytes, bytes)) {
    reader.push(piece)
    for (let arg = reader.next() as Buffer; arg; arg = reader.next() as Buffer) {
      if (first.length < head) {
        first.push(Buffer.from(arg))
        continue
      }
      items.push(arg)
      held += arg.length
      if (items.length % step !== 0 || (items.length < partItems * step && held < partBytes)) continue
      yield [...first, ...items]
      items = []
      held = 0
    }
  }
  if (items.length > 0) yield [...first, ...items]
}

function wordsOf({ outline }: LargeStreamCommand): Buffer[] {
  return outline.args.map(({ bytes }) => bytes ?? Buffer.alloc(0))
}
