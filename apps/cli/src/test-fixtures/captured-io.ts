import { Writable } from 'node:stream'
import type { Io } from '../io.ts'

/** Keeps what is written; no terminal, unless a test says so. */
export class CapturedStream extends Writable {
  readonly columns = 80
  text = ''

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk.toString()
    done()
  }
}

export interface CapturedIo extends Io {
  readonly out: CapturedStream
  readonly err: CapturedStream
}

export function capturedIo(cwd: string, env: NodeJS.ProcessEnv = {}): CapturedIo {
  const { PATH } = process.env
  const interrupted = new AbortController().signal
  return { out: new CapturedStream(), err: new CapturedStream(), env: { PATH, ...env }, cwd, interrupted }
}
