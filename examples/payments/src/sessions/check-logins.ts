import type { JudgedRedis, SessionsFindings } from './judge-sessions.ts'
import { loginsKey } from './session-keys.ts'
import { loginsKept } from './session-store.ts'
import type { LoginEvent, SessionsTable } from './sessions-table.ts'

interface TrailEntry {
  readonly event: string
  readonly session: string
}

/** Holds the trail of each account against its logins and logouts. Returns how many entries there are. */
export async function checkLogins(
  client: JudgedRedis,
  table: SessionsTable,
  findings: SessionsFindings,
): Promise<number> {
  let entries = 0
  for (const account of table.accounts()) {
    const trail = ((await client.xRange(loginsKey(account), '-', '+')) ?? []).map(({ message }) => message)
    entries += trail.length
    checkTrail(trail as object[] as TrailEntry[], table.logins(account), findings)
  }
  return entries
}

function checkTrail(trail: readonly TrailEntry[], asked: readonly LoginEvent[], findings: SessionsFindings): void {
  const byName = new Map(asked.map((event) => [nameOf(event), event]))
  const seen = new Map<string, number>()
  let latestAsked = 0
  for (const entry of trail) {
    const name = nameOf(entry)
    const event = byName.get(name)
    seen.set(name, (seen.get(name) ?? 0) + 1)
    if (event === undefined || event.outcome === 'refused') findings.found('loginsUnasked', name)
    else {
      if (event.ended < latestAsked) findings.found('loginsReordered', name)
      latestAsked = Math.max(latestAsked, event.asked)
    }
  }
  for (const [name, times] of seen) if (times > 1) findings.found('loginsDoubled', name)
  // Of a trail that is full, the oldest have made room.
  if (trail.length >= loginsKept) return
  for (const event of asked) {
    if (event.outcome === 'success' && !seen.has(nameOf(event))) findings.found('loginsLost', nameOf(event))
  }
}

function nameOf({ event, session }: TrailEntry): string {
  return `${event}:${session}`
}
