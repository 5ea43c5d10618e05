import { ReplatformError } from '@replatform/core/errors'
import type { RuntimeApi } from './runtime-api.ts'

export interface ServerState {
  readonly name: string
  /** Gets nothing new, by command or by configuration. */
  readonly inMaintenance: boolean
  readonly weight: number
  /** A name or an address, as HAProxy connects to it. */
  readonly host: string
  readonly port: number
}

/** Forced maintenance and drain, by command or in the file (`enum srv_admin` of HAProxy; `srv_admin_state`). */
const outOfService = 0x01 | 0x02 | 0x08 | 0x10

/** Servers of a backend, by name. Throws `routing.failed` where HAProxy has no such backend. */
export async function readServers(api: RuntimeApi, backend: string): Promise<ReadonlyMap<string, ServerState>> {
  const rows = tableOf(await api.ask([`show servers state ${backend}`]))
  if (rows.length === 0) {
    throw new ReplatformError('routing.failed', { message: `HAProxy at ${api.address} has no backend ${backend}.` })
  }
  return new Map(
    rows.map((row) => {
      const name = row.get('srv_name') ?? ''
      const fqdn = row.get('srv_fqdn') ?? '-'
      const state: ServerState = {
        name,
        inMaintenance: (Number(row.get('srv_admin_state')) & outOfService) !== 0,
        weight: Number(row.get('srv_uweight')),
        host: fqdn === '-' ? (row.get('srv_addr') ?? '') : fqdn,
        port: Number(row.get('srv_port')),
      }
      return [name, state]
    }),
  )
}

export interface Traffic {
  readonly mode: 'tcp' | 'http'
  /** Sessions, in `http` requests, that a server is serving now. */
  readonly inFlight: ReadonlyMap<string, number>
}

export async function readTraffic(api: RuntimeApi, backend: string): Promise<Traffic> {
  const [head = '', ...lines] = (await api.ask([`show stat ${backend} 6 -1`])).split('\n')
  const columns = head.replace(/^# /, '').split(',')
  const [name, current, mode] = ['svname', 'scur', 'mode'].map((column) => columns.indexOf(column))
  const rows = lines.map((line) => line.split(','))
  const isHttp = rows.some((row) => row[mode ?? -1] === 'http')
  const counts = rows.map((row) => [row[name ?? -1] ?? '', Number(row[current ?? -1])] as const)
  return { mode: isHttp ? 'http' : 'tcp', inFlight: new Map(counts) }
}

/** The columns stand in a comment line; the first line is the format's version. */
function tableOf(answer: string): ReadonlyMap<string, string>[] {
  const lines = answer.split('\n')
  const head = lines.find((line) => line.startsWith('# '))
  if (!head) return []
  const columns = head.slice(2).split(' ')
  const rows = lines.filter((line) => /^\d+ /.test(line))
  return rows.map((line) => new Map(line.split(' ').map((value, index) => [columns[index] ?? '', value])))
}
