import type { Connection } from './connection.ts'
import type { RespValue } from './resp-reader.ts'
import { parseInfo } from './server-info.ts'

/**
 * How often commands that write were called since the server was started, those inside scripts too. Tells of a side that
 * cannot be fenced whether somebody wrote there meanwhile; keys that lapse are no calls.
 */
export async function readWriteCalls(connection: Connection): Promise<number> {
  const names = new Set(((await connection.command('ACL', 'CAT', 'write')) as RespValue[]).map(String))
  const fields = parseInfo(String(await connection.command('INFO', 'commandstats')))
  let sum = 0
  for (const [field, text] of fields) {
    const name = field.replace(/^cmdstat_/, '')
    if (!names.has(name) && !names.has(name.split('|')[0] ?? '')) continue
    // A call that was refused has written nothing.
    const [calls, failed] = ['calls', 'failed_calls'].map(
      (what) => new RegExp(`\\b${what}=(\\d+)`).exec(text)?.[1] ?? '0',
    )
    sum += Number(calls) - Number(failed)
  }
  return sum
}
