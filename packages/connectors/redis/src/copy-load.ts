/** The full load of a source that lets nobody replicate: every key as it stands when it is met. */
import type { Loaded } from '@replatform/core/connector'
import { isControlKey } from './control-keys.ts'
import type { KeyCopier } from './key-copier.ts'
import type { KeyReader } from './key-reader.ts'

export interface CopyLoadOptions {
  readonly source: KeyReader
  /** Each copies a page at a time. */
  readonly copiers: readonly KeyCopier[]
  readonly signal: AbortSignal
  readonly progress: (loaded: Loaded) => Promise<void>
}

/** What is written meanwhile must be known by other means. Rejects when no copier writes any more. */
export async function copyAllKeys({ source, copiers, signal, progress }: CopyLoadOptions): Promise<Loaded> {
  const failed = new AbortController()
  const either = AbortSignal.any([signal, failed.signal])
  const pages = pagesOf(source, either)
  const sums = { rows: 0, bytes: 0 }
  const work = async (copier: KeyCopier) => {
    for (let next = await pages.next(); !next.done; next = await pages.next()) {
      const { db, keys } = next.value
      sums.bytes += await copier.copy(db, keys)
      sums.rows += keys.length
      await progress({ ...sums })
    }
  }
  const outcomes = await Promise.allSettled(
    copiers.map((copier) =>
      work(copier).catch((thrown) => {
        failed.abort(thrown)
        throw thrown
      }),
    ),
  )
  signal.throwIfAborted()
  if (outcomes.some(({ status }) => status === 'rejected')) throw failed.signal.reason
  return sums
}

async function* pagesOf(source: KeyReader, signal: AbortSignal) {
  for (const db of (await source.databases()).keys()) {
    for await (const page of source.scan(db, signal)) {
      const keys = page.filter((key) => !isControlKey(db, key))
      if (keys.length > 0) yield { db, keys }
    }
  }
}
