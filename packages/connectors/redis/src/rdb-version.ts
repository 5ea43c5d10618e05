import type { Connection } from './connection.ts'

/** The RDB version that a server itself writes, which is the newest that it reads. `key` must stand there. */
export async function readRdbVersion(server: Connection, key: string): Promise<number> {
  const dump = (await server.command('DUMP', key)) as Buffer
  return dump.readUInt16LE(dump.length - 10)
}
