import type { CommandBuffer } from './command-buffer.ts'
import type { LargeCommand } from './large-command.ts'

/** Writes batches on one server, each whole or not at all, and only while nobody has raised the epoch. */
export interface BatchWriter {
  /** A buffer of the kind that this writer can commit. */
  createBuffer(bytes: number): CommandBuffer
  /** The buffer must stay as it is until it resolves. */
  commit(buffer: CommandBuffer): Promise<void>
  /** One command that does not fit into memory. */
  commitLarge(db: number, command: LargeCommand): Promise<void>
}
