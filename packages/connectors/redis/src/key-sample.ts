/** A sample of a server's keys, for an idea of what they are: never all of a large server, and never their values. */
import { maskKey } from './compare.ts'
import type { Connection } from './connection.ts'
import { isControlKey } from './control-keys.ts'
import { readSizes, scanKeys } from './key-look.ts'
import type { RespValue } from './resp-reader.ts'
import { readKeyspace } from './server-info.ts'

export interface SampledKey {
  /** Masked: what stands before its first separator, and a digest. */
  readonly name: string
  readonly kind: string
  readonly type: string
  /** In memory there; 0 where the server does not tell. */
  readonly bytes: number
  readonly hasDeadline: boolean
  /** By the server's own logarithmic count, 0 to 255; null where it keeps none. */
  readonly frequency: number | null
}

export interface KeySample {
  readonly keys: readonly SampledKey[]
  /** On the server in all. */
  readonly total: number
}

const mostKeys = 20_000

/** SCAN goes by the hash of a key, so that its first pages are as good as any. */
export async function sampleKeys(connection: Connection, { most = mostKeys } = {}): Promise<KeySample> {
  const databases = await readKeyspace(connection)
  const total = [...databases.values()].reduce((sum, count) => sum + count, 0)
  const keys: SampledKey[] = []
  for (const [db, count] of databases) {
    const share = Math.ceil((most * count) / Math.max(total, 1))
    let taken = 0
    for await (const page of scanKeys(connection, db)) {
      const own = page.filter((key) => !isControlKey(db, key)).slice(0, share - taken)
      keys.push(...(await describe(connection, db, own)))
      taken += own.length
      if (taken >= share) break
    }
  }
  await connection.command('SELECT', 0)
  return { keys, total }
}

async function describe(connection: Connection, db: number, keys: readonly Buffer[]): Promise<SampledKey[]> {
  const sizes = await readSizes(connection, db, keys)
  const replies = await connection.pipeline(
    keys.flatMap((key) => [
      ['TYPE', key],
      ['PTTL', key],
      ['OBJECT', 'FREQ', key],
    ]),
  )
  return keys.flatMap((key, index) => {
    const [type, left, frequency] = replies.slice(3 * index, 3 * index + 3) as [RespValue, RespValue, RespValue]
    if (String(type) === 'none') return []
    return [
      {
        name: maskKey(key),
        kind: maskKey(key).split('…')[0] ?? '',
        type: String(type),
        bytes: sizes[index] ?? 0,
        hasDeadline: Number(left) >= 0,
        frequency: typeof frequency === 'number' ? frequency : null,
      },
    ]
  })
}
