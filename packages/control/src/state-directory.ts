import { chmod, mkdir, readFile, realpath, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ReplatformError } from '@replatform/core/errors'
import { StateLock } from './state-lock.ts'

/** Raised whenever an older Replatform could misread what a newer one wrote here. */
const format = 1

/** Where a worker keeps its control state. Only one worker owns it at a time, and only its user can look inside. */
export class StateDirectory implements AsyncDisposable {
  readonly path: string
  readonly #lock: StateLock

  private constructor(path: string, lock: StateLock) {
    this.path = path
    this.#lock = lock
  }

  /** Creates the directory where there is none. Throws `state.locked`, `state.newer-version` or `state.unusable`. */
  static async open(path: string): Promise<StateDirectory> {
    const realPath = await usable(path, () => createPrivate(path))
    const lock = await usable(path, () => StateLock.acquire(realPath))
    if (!lock) throw await lockedBy(realPath)
    try {
      await checkFormat(realPath)
      await usable(path, () => writeOwner(realPath))
      return new StateDirectory(realPath, lock)
    } catch (thrown) {
      await lock[Symbol.asyncDispose]()
      throw thrown
    }
  }

  get databasePath(): string {
    return join(this.path, 'control')
  }

  get decisionsPath(): string {
    return join(this.path, 'decisions')
  }

  get intentsPath(): string {
    return join(this.path, 'cutovers')
  }

  get auditHeadPath(): string {
    return join(this.path, 'audit-head.json')
  }

  get socketPath(): string {
    return controlSocketPath(this.path)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lock[Symbol.asyncDispose]()
  }
}

/** Where the worker that owns a state directory listens. */
export function controlSocketPath(stateDirectory: string): string {
  const path = join(stateDirectory, 'control.sock')
  // The kernel keeps 108 bytes for the address of a socket and would cut a longer one off.
  if (Buffer.byteLength(path) <= 107) return path
  throw unusable(stateDirectory, 'its path is too long for a socket: 94 bytes are the most')
}

async function createPrivate(path: string): Promise<string> {
  await mkdir(path, { recursive: true, mode: 0o700 })
  await chmod(path, 0o700)
  return realpath(path)
}

async function checkFormat(path: string): Promise<void> {
  const file = join(path, 'version.json')
  const text = await usable(path, () => readIfThere(file))
  if (text === undefined) return usable(path, () => replaceFile(file, JSON.stringify({ format })))
  const found = parseFormat(text)
  if (found === undefined) throw unusable(path, 'its version.json is not readable')
  if (found <= format) return
  throw new ReplatformError('state.newer-version', {
    message: `The state directory ${path} has format ${found}; this Replatform knows ${format}.`,
  })
}

function parseFormat(text: string): number | undefined {
  try {
    const found = (JSON.parse(text) as { format?: unknown }).format
    return typeof found === 'number' ? found : undefined
  } catch {
    return undefined
  }
}

async function writeOwner(path: string): Promise<void> {
  const owner = { pid: process.pid, startedAt: new Date().toISOString() }
  await replaceFile(join(path, 'owner.json'), JSON.stringify(owner))
}

/** The owner's file only feeds the message: the lock itself is the socket. */
async function lockedBy(path: string): Promise<ReplatformError> {
  const text = await readFile(join(path, 'owner.json'), 'utf8').catch(() => '{}')
  const pid = /"pid":(\d+)/.exec(text)?.[1]
  const owner = pid === undefined ? 'another worker' : `the worker with process id ${pid}`
  return new ReplatformError('state.locked', { message: `The state directory ${path} belongs to ${owner}.` })
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw thrown
  }
}

async function replaceFile(file: string, text: string): Promise<void> {
  const temporary = `${file}.${process.pid}`
  await writeFile(temporary, text, { mode: 0o600, flush: true })
  await rename(temporary, file)
}

async function usable<T>(path: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (thrown) {
    throw unusable(path, (thrown as Error).message, thrown)
  }
}

function unusable(path: string, why: string, cause?: unknown): ReplatformError {
  return new ReplatformError('state.unusable', {
    message: `The state directory ${path} cannot be used: ${why}.`,
    cause,
  })
}
