/** The full load of a source that lets nobody replicate: every key as it stands when it is met. */
import type { Loaded } from '@replatform/core/connector'
import { isControlKey } from './control-keys.ts'
import { eachAtOnce } from './each-at-once.ts'
import type { KeyReader } from './key-reader.ts'
import type { OpenCopier } from './open-copier.ts'

export interface CopyLoadOptions {
  /** For each shard of the source; each copier copies a page at a time. */
  readonly shards: readonly (readonly OpenCopier[])[]
  readonly signal: AbortSignal
  readonly progress: (loaded: Loaded) => Promise<void>
}

/** What is written meanwhile must be known by other means. Rejects when no copier writes any more. */
export async function copyAllKeys({ shards, signal, progress }: CopyLoadOptions): Promise<Loaded> {
  const failed = new AbortController()
  const either = AbortSignal.any([signal, failed.signal])
  const sums = { rows: 0, bytes: 0 }
  const copyShard = async (copiers: readonly OpenCopier[]) => {
    const [{ source }] = copiers as [OpenCopier]
    const free = copiers.map(({ copier }) => copier)
    await eachAtOnce(pagesOf(source, either), copiers.length, async ({ db, keys }) => {
      const copier = free.pop()
      if (!copier) return
      sums.bytes += await copier.copy(db, keys)
      sums.rows += keys.length
      free.push(copier)
      await progress({ ...sums })
    })
  }
  await eachAtOnce(shards, shards.length, (copiers) =>
    copyShard(copiers).catch((thrown) => {
      failed.abort(thrown)
      throw thrown
    }),
  )
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
