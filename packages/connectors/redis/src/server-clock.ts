import type { Connection } from './connection.ts'

/** The source's clock minus ours, in milliseconds. */
export async function readClockOffset(source: Connection): Promise<number> {
  const before = Date.now()
  const [seconds, micros] = (await source.command('TIME')) as Buffer[]
  const sourceMs = Number(String(seconds)) * 1000 + Number(String(micros)) / 1000
  return Math.round(sourceMs - (before + Date.now()) / 2)
}
