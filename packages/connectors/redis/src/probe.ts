import { type ConnectionOptions, openConnection } from './connection.ts'
import { readServer } from './server-info.ts'

/** Connects once and tells what runs there: `Redis 7.0.15`, `Valkey 8.0.1`. Throws what is in the way. */
export async function probeRedis(options: ConnectionOptions): Promise<string> {
  await using connection = await openConnection(options)
  const { product, version } = await readServer(connection)
  return `${product} ${version}`
}
