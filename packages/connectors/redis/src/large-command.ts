/** A command with one argument that does not fit into memory: it is written while it is read. */
import { type Argument, CommandBuffer } from './command-buffer.ts'

export interface LargeCommand {
  /** The name, and what stands before the large argument. */
  readonly head: readonly Argument[]
  readonly length: number
  /** Its bytes, exactly `length` in all. Read once. */
  readonly body: AsyncIterable<Buffer>
  readonly tail: readonly Argument[]
}

/** As a server reads it; returns that it is one command. */
export async function* encodeLarge({ head, length, body, tail }: LargeCommand): AsyncGenerator<Buffer, number> {
  const before = new CommandBuffer()
  before.begin(head.length + 1 + tail.length)
  for (const argument of head) before.argument(argument)
  before.beginArgument(length, 0)
  yield Buffer.from(before.view)
  yield* body
  const after = new CommandBuffer()
  after.endArgument()
  for (const argument of tail) after.argument(argument)
  yield Buffer.from(after.view)
  return 1
}
