import type { Connection } from './connection.ts'

/** Milliseconds since 1970 by the clock of the server. */
export async function readNowMs(connection: Connection): Promise<number> {
  const [seconds, micros] = (await connection.command('TIME')) as Buffer[]
  return Number(String(seconds)) * 1000 + Number(String(micros)) / 1000
}

/** The source's clock minus ours, in milliseconds. */
export async function readClockOffset(source: Connection): Promise<number> {
  const before = Date.now()
  const sourceMs = await readNowMs(source)
  return Math.round(sourceMs - (before + Date.now()) / 2)
}
