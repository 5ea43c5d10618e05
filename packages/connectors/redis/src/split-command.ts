/** A command of very many arguments as several that do the same, since a script cannot pass on that many at once. */
import { ReplatformError } from '@replatform/core/errors'
import type { Argument } from './command-buffer.ts'

/** Lua keeps 8,000 values on its stack. */
export const mostArguments = 4_000

/** Words before the items, and words of an item. */
const shapes: Readonly<Record<string, Shape>> = {
  ...byShape([2, 1], 'rpush lpush rpushx lpushx sadd srem hdel zrem pfadd xdel'),
  ...byShape([2, 2], 'hset hmset'),
  ...byShape([3, 1], 'xack'),
  ...byShape([1, 1], 'del unlink'),
  ...byShape([1, 2], 'mset msetnx'),
}

export function splitCommand(name: string, args: readonly Argument[]): readonly (readonly Argument[])[] {
  if (args.length <= mostArguments) return [args]
  const shape = shapeOf(name, args)
  if (!shape) {
    throw new ReplatformError('redis.value-too-large', {
      message: `The source replicated ${name.toUpperCase()} with ${args.length} arguments, which a script cannot pass on.`,
    })
  }
  const [head, step] = shape
  const pieces: Argument[][] = []
  const most = step * Math.floor((mostArguments - head) / step)
  for (let at = head; at < args.length; at += most) pieces.push([...args.slice(0, head), ...args.slice(at, at + most)])
  return pieces
}

type Shape = readonly [head: number, step: number]

/** Null for a command that cannot be split. Of the arguments it looks at those that stand before the items only. */
export function shapeOf(name: string, args: readonly Argument[]): Shape | null {
  return name === 'zadd' || name === 'geoadd' ? scoredShape(name, args) : (shapes[name] ?? null)
}

/** Options stand before the first number. */
function scoredShape(name: string, args: readonly Argument[]): Shape {
  const isOption = (arg: Argument | undefined) => /^(nx|xx|gt|lt|ch|incr)$/i.test(String(arg))
  let head = 2
  while (isOption(args[head])) head += 1
  return [head, name === 'zadd' ? 2 : 3]
}

function byShape(shape: readonly [number, number], names: string): Record<string, readonly [number, number]> {
  return Object.fromEntries(names.split(' ').map((name) => [name, shape]))
}
