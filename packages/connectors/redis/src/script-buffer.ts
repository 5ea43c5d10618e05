import { CommandBuffer } from './command-buffer.ts'

/** Commands as arguments of a script, each behind the number of its words. */
export class ScriptBuffer extends CommandBuffer {
  #arguments = 0

  /** How many arguments the commands take in all. */
  get arguments(): number {
    return this.#arguments
  }

  override clear(): void {
    super.clear()
    this.#arguments = 0
  }

  override begin(count: number): void {
    this.#arguments += count + 1
    this.countCommand()
    this.argument(count)
  }
}
