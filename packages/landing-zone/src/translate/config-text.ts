/** Old configurations as words with the line that each statement stands on. No value is ever put into a message. */
import { ReplatformError } from '@replatform/core/errors'

/** Where a statement stands. `file` as the user named it. */
export interface Place {
  readonly file: string
  readonly line: number
}

/** One statement: its keyword and arguments, quotes resolved. */
export interface Statement extends Place {
  readonly words: readonly string[]
}

/** A statement that holds others, as nginx and nftables write them; `body` is null for one without braces. */
export interface Block extends Statement {
  readonly body: readonly Block[] | null
}

export interface ConfigFile {
  readonly name: string
  readonly text: string
  /** Reads a file that this one names: one or, for a pattern, many. Empty where there is none. */
  readonly read?: (name: string) => readonly ConfigFile[]
}

/** Throws `landing-zone.config-invalid`. Say what is wrong by keyword; arguments may be secrets. */
export function syntaxError({ file, line }: Place, what: string): never {
  throw new ReplatformError('landing-zone.config-invalid', { message: `${file}:${line}: ${what}` })
}

export function at({ file, line }: Place): string {
  return `${file}:${line}`
}

/** Divides a text into lines without their ends, with the number of each. */
export function linesOf({ name, text }: ConfigFile): (Place & { readonly text: string })[] {
  return text.split(/\r?\n/).map((line, index) => ({ file: name, line: index + 1, text: line }))
}
