import { type ChildProcess, fork } from 'node:child_process'
import type { Log } from '@replatform/core/connector'
import { MoverClient } from '@replatform/engine/mover-client'
import type { Channel } from '@replatform/engine/mover-protocol'
import { logOutput } from './mover-output.ts'

export interface MoverProcessOptions {
  /** Module that the child runs; it serves the mover protocol on its IPC channel. */
  readonly main: URL
  /** For logs only. */
  readonly move: string
  readonly log: Log
  /** A mover reports about itself every second; one that is silent for this long hangs, and is killed. */
  readonly silentForMs?: number
}

/** Leaves room for buffers and code below the 300 MB that a mover may take in all. */
const heapMiB = 160

/** A process that carries the data of one move, as whoever started it sees it; disposing of it ends it. */
export interface MoverLink extends AsyncDisposable {
  readonly client: MoverClient
  readonly pid: number
  /** What it has committed stays; a new process goes on from there. */
  kill(): void
}

/** A child process that carries the data of one move. It ends by itself when we do, however that happens. */
export class MoverProcess implements MoverLink {
  readonly client: MoverClient
  readonly #child: ChildProcess
  readonly #exited: Promise<void>

  private constructor(child: ChildProcess, exited: Promise<void>) {
    this.#child = child
    this.#exited = exited
    this.client = new MoverClient(channelOf(child))
  }

  static start({ main, move, log, silentForMs = 60_000 }: MoverProcessOptions): MoverProcess {
    const child = fork(main, [], {
      execArgv: [`--max-old-space-size=${heapMiB}`],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      // Its own process group, so that Ctrl-C reaches the worker only and movers end at a durable point.
      detached: true,
    })
    const pid = child.pid ?? 0
    for (const stream of [child.stdout, child.stderr]) if (stream) logOutput(stream, { move, pid }, log)
    killWhenSilent(child, silentForMs, () => log.error({ move, pid }, 'The mover process hangs and is killed.'))
    const exited = new Promise<void>((resolve) => {
      child.once('exit', (code, signal) => {
        log.info({ move, pid, code, signal }, 'The mover process ended.')
        resolve()
      })
      child.once('error', (error) => {
        log.error({ move, err: error }, 'The mover process could not be started.')
        resolve()
      })
    })
    return new MoverProcess(child, exited)
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Ends it: by closing the channel, and by force when that does not help within a few seconds. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.connected) this.#child.disconnect()
    const harder = setTimeout(() => this.kill(), 5_000)
    await this.#exited
    clearTimeout(harder)
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }
}

/**
 * Counts looks without a message rather than time: when the worker itself stood still, it must not take the silence
 * of that time for the mover's.
 */
function killWhenSilent(child: ChildProcess, silentForMs: number, report: () => void): void {
  const looks = 4
  let silent = 0
  const timer = setInterval(() => {
    silent += 1
    if (silent <= looks) return
    clearInterval(timer)
    report()
    child.kill('SIGKILL')
  }, silentForMs / looks).unref()
  child.on('message', () => {
    silent = 0
  })
  child.once('exit', () => clearInterval(timer))
}

function channelOf(child: ChildProcess): Channel {
  return {
    // A message to a process that just died is lost; the close of the channel tells the caller.
    send: (message) => void (child.connected && child.send(message, () => {})),
    onMessage: (handler) => void child.on('message', handler),
    onClose: (handler) => {
      const once = onlyOnce(handler)
      child.once('disconnect', once)
      child.once('exit', once)
      child.once('error', once)
    },
  }
}

function onlyOnce(handler: () => void): () => void {
  let called = false
  return () => {
    if (called) return
    called = true
    handler()
  }
}
