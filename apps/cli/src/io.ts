import picocolors from 'picocolors'

/** One of the process' two streams, or a test's. */
export interface Terminal extends NodeJS.WritableStream {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
}

/** Everything that the command line takes from the process that it runs in. */
export interface Io {
  /** Results only, so that they can be piped. */
  readonly out: Terminal
  /** Progress, notices and errors. */
  readonly err: Terminal
  readonly env: NodeJS.ProcessEnv
  readonly cwd: string
  /** Aborted at the first Ctrl-C or SIGTERM. */
  readonly interrupted: AbortSignal
}

export type Colors = ReturnType<typeof picocolors.createColors>

/** Colours only where a person looks, and never against NO_COLOR (https://no-color.org). */
export function colorsFor(terminal: Terminal, env: NodeJS.ProcessEnv, wanted: boolean): Colors {
  const refused = !wanted || Boolean(env.NO_COLOR) || env.TERM === 'dumb'
  return picocolors.createColors(!refused && (terminal.isTTY === true || Boolean(env.FORCE_COLOR)))
}

export function widthOf(terminal: Terminal): number {
  return Math.max(60, terminal.columns ?? 80)
}
