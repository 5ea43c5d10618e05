import { createClient } from '@redis/client'
import { Findings } from '../findings.ts'
import { type StoreVerdict, storeVerdict } from '../store-verdict.ts'
import { checkLogins } from './check-logins.ts'
import { answerKey, codeKey, parseKey, sessionKey } from './session-keys.ts'
import { digest } from './sessions-server.ts'
import { type KeptItem, SessionsTable } from './sessions-table.ts'

/** What can be wrong with sessions, codes and answers, gravest first. */
export const sessionsCorruptions = {
  resurrected: 'sessions that were logged out, or codes that were used, and are good again',
  expiresLate: 'what is there after its deadline, or will be',
  goneEarly: 'what is gone before its deadline: lost, or expired early',
  expiresEarly: 'what will be gone before its deadline',
  altered: 'what has another content than was acknowledged',
  unasked: 'codes, sessions and answers that nobody asked for',
  loginsLost: 'logins and logouts that are missing in the trail of their account',
  loginsDoubled: 'logins and logouts that are in the trail more than once',
  loginsReordered: 'logins and logouts that stand before one that had ended when they were asked for',
  loginsUnasked: 'logins and logouts in a trail that nobody asked for',
  repliesDiffer: 'answers during the load that contradicted earlier ones',
} as const

export type SessionsCorruption = keyof typeof sessionsCorruptions
export type SessionsFindings = Findings<SessionsCorruption>
export type JudgedRedis = ReturnType<typeof clientOf>

export interface SessionsJudgeOptions {
  readonly journals: readonly string[]
  readonly url: string
  /** How far a deadline may be off: clocks differ, and a store takes its time to end what is over. */
  readonly toleranceMs?: number
}

export const defaultToleranceMs = 1000

/**
 * Holds Redis against the journals of all the load it has seen. Reads only. Call when nobody logs in any more, and soon:
 * what has passed its deadline by then can only be seen to be gone.
 */
export async function judgeSessions(options: SessionsJudgeOptions): Promise<StoreVerdict<SessionsCorruption>> {
  const findings: SessionsFindings = new Findings(sessionsCorruptions)
  using table = new SessionsTable()
  for (const path of options.journals) await table.add(path)
  const client = clientOf(options.url)
  await client.connect()
  try {
    const judged = { items: 0, present: 0, past: 0, logins: 0 }
    for (const items of table.items()) {
      const kept = await readAll(client, items)
      for (const [n, item] of items.entries()) {
        judged.items++
        const found = kept[n] ?? { present: false }
        if (found.present) judged.present++
        else if (item.outcome === 'success') judged.past++
        checkItem(item, found, { findings, toleranceMs: options.toleranceMs ?? defaultToleranceMs })
      }
    }
    await checkUnasked(client, table, findings)
    judged.logins = await checkLogins(client, table, findings)
    const { count, keys } = table.differing
    findings.add('repliesDiffer', count, keys)
    return storeVerdict('sessions', findings, judged)
  } finally {
    client.destroy()
  }
}

function clientOf(url: string) {
  const client = createClient({ url, socket: { reconnectStrategy: false } })
  return client.on('error', () => undefined) // The command that is under way fails by itself.
}

/** What Redis has under a key, and when that ends by the server's own clock. */
type Kept =
  | { readonly present: false; readonly now?: number }
  | {
      readonly present: true
      readonly now: number
      /** Milliseconds since 1970; infinite when it never ends. */
      readonly expires: number
      readonly fields: Readonly<Record<string, string>>
    }

async function readAll(client: JudgedRedis, items: readonly KeptItem[]): Promise<Kept[]> {
  // Sent together, and so read within milliseconds of the clock.
  const time = client.sendCommand<[string, string]>(['TIME'])
  const all = await Promise.all(
    items.map(async (item) => await Promise.all([client.pTTL(keyOf(item)), contentOf(client, item)])),
  )
  const [seconds, microseconds] = await time
  const now = Number(seconds) * 1000 + Number(microseconds) / 1000
  return all.map(([left, fields]): Kept => {
    if (left === -2 || fields === undefined) return { present: false, now }
    return { present: true, now, expires: left === -1 ? Number.POSITIVE_INFINITY : now + left, fields }
  })
}

function keyOf({ kind, key, account }: KeptItem): string {
  if (kind === 'answer') return answerKey(key)
  return kind === 'code' ? codeKey(account, key) : sessionKey(account, key)
}

async function contentOf(client: JudgedRedis, item: KeptItem): Promise<Record<string, string> | undefined> {
  if (item.kind === 'answer') {
    const text = await client.get(keyOf(item))
    return text === null ? undefined : { text }
  }
  const fields = await client.hGetAll(keyOf(item))
  return Object.keys(fields).length === 0 ? undefined : fields
}

interface CheckContext {
  readonly findings: SessionsFindings
  readonly toleranceMs: number
}

function checkItem(item: KeptItem, kept: Kept, { findings, toleranceMs }: CheckContext): void {
  const name = `${item.kind}:${item.key}`
  if (item.outcome === 'refused' && kept.present) findings.found('unasked', name)
  if (item.outcome !== 'success' || item.deadline === null || kept.now === undefined) return
  const isOver = item.kind === 'session' && item.closing === 'success'
  if (!kept.present) {
    const mayBeGone = isOver || item.closing === 'unknown' || kept.now > item.deadline - toleranceMs
    if (!mayBeGone) findings.found('goneEarly', name)
    return
  }
  if (isOver || (item.kind === 'code' && item.closing === 'success' && kept.fields.state === 'open')) {
    findings.found('resurrected', name)
    return
  }
  // An answer's deadline is known only as far as its request and its answer are apart, which is far less than this.
  const slackMs = item.kind === 'answer' ? answerSlackMs : 0
  if (kept.expires > item.deadline + toleranceMs + slackMs) findings.found('expiresLate', name)
  if (kept.expires < item.deadline - toleranceMs) findings.found('expiresEarly', name)
  if (!hasContent(item, kept.fields)) findings.found('altered', name)
}

/** As long as a request may have been retried. */
const answerSlackMs = 30_000

function hasContent(item: KeptItem, fields: Readonly<Record<string, string>>): boolean {
  if (item.kind === 'answer') return digest(fields.text ?? '') === item.content
  if (fields.deadline !== String(item.deadline)) return false
  if (item.kind === 'session') return fields.device === item.content && fields.code === item.code
  if (item.closing === 'success') return fields.state === 'used'
  return item.closing === 'unknown' || fields.state === 'open'
}

async function checkUnasked(client: JudgedRedis, table: SessionsTable, findings: SessionsFindings): Promise<void> {
  for await (const keys of client.scanIterator({ COUNT: 1000 })) {
    for (const key of keys) {
      const parsed = parseKey(key)
      if (parsed === undefined || parsed.kind === 'logins' || parsed.kind === 'rate') continue
      if (!table.wasAsked(parsed.kind, parsed.id)) findings.found('unasked', `${parsed.kind}:${parsed.id}`)
    }
  }
}
