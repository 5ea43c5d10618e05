import type { Chunk, Loaded, Mover } from '@replatform/core/connector'
import type { Throttle } from './throttle.ts'

export interface LoadChunksOptions {
  readonly mover: Mover
  readonly workers: number
  readonly throttle: Throttle
  readonly signal: AbortSignal
  /** What a chunk has come to so far; the last time, with `isDone`, in all. */
  readonly report: (chunk: Chunk, loaded: Loaded, isDone: boolean) => void
}

/**
 * Loads all chunks that are left, several at once. The first failure stops the others at their next await and is
 * thrown once they have ended, so that nothing still writes when the caller acts on it.
 */
export async function loadChunks(options: LoadChunksOptions): Promise<void> {
  const failed = new AbortController()
  const signal = AbortSignal.any([options.signal, failed.signal])
  const chunks = options.mover.chunks()[Symbol.asyncIterator]()
  const work = async () => {
    while (!signal.aborted) {
      const next = await chunks.next()
      if (next.done) return
      await loadChunk(options, next.value, signal)
    }
  }
  let first: { readonly thrown: unknown } | undefined
  const workers = Array.from({ length: options.workers }, () =>
    work().catch((thrown) => {
      // Those that fail after it only say that they were stopped.
      first ??= { thrown }
      failed.abort()
    }),
  )
  await Promise.all(workers)
  if (first && !options.signal.aborted) throw first.thrown
}

async function loadChunk(
  { mover, throttle, report }: LoadChunksOptions,
  chunk: Chunk,
  signal: AbortSignal,
): Promise<void> {
  let spent = 0
  const take = async (loaded: Loaded, isDone: boolean) => {
    report(chunk, loaded, isDone)
    const bytes = loaded.bytes - spent
    spent = loaded.bytes
    await throttle.spend(bytes, signal)
  }
  const loaded = await mover.load(chunk, signal, (soFar) => take(soFar, false))
  await take(loaded, true)
}
