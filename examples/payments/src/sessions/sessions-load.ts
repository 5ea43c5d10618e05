import type { JournalWriter, Outcome } from '../journal.ts'
import type { LoadClock } from '../load-clock.ts'
import type { OperationStatistics } from '../operation-statistics.ts'
import type { HttpRequest, PatientClient, Reply } from '../patient-client.ts'
import type { SeededRandom } from '../seeded-random.ts'
import type { SessionsAskLine, SessionsKind, SessionsLine } from './sessions-journal.ts'
import { answerText, digest } from './sessions-server.ts'

export interface SessionsLoadOptions {
  readonly client: PatientClient
  readonly journal: JournalWriter<SessionsLine>
  readonly clock: LoadClock
  readonly random: SeededRandom
  readonly statistics: OperationStatistics
  /** Numbers of accounts to choose from. */
  readonly account: () => number
  /** For how long the service keeps answers. */
  readonly answerLifeMs: number
}

interface IssuedCode {
  readonly code: string
  readonly digits: string
}
interface OpenSession {
  readonly session: string
  readonly token: string
}

/** Customers who log in and out, and a gateway that has answers remembered. */
export class SessionsLoad {
  readonly #options: SessionsLoadOptions

  constructor(options: SessionsLoadOptions) {
    this.#options = options
  }

  /** One customer comes by. Latency of what comes first counts from `dueMs`. Never rejects. */
  async visit(dueMs: number): Promise<void> {
    const { random } = this.#options
    const account = this.#options.account()
    const plan = { remember: random.chance(0.3), fumble: random.chance(0.1), leave: random.chance(0.4) }
    if (plan.remember) return await this.#rememberAnswer(dueMs, random.below(20))
    const issued = await this.#askForCode(account, dueMs)
    if (!issued) return
    if (plan.fumble) await this.#fumble(account, issued)
    const open = await this.#logIn(account, issued)
    if (!open) return
    await this.#expectSession(open, 200)
    if (!plan.leave) return
    const left = await this.#logOut(account, open)
    if (left === 'success') await this.#expectSession(open, 401)
  }

  async #askForCode(account: number, dueMs: number): Promise<IssuedCode | undefined> {
    const code = this.#options.clock.nextKey()
    const headers = { 'idempotency-key': code }
    const asked = { kind: 'code', key: code, account } as const
    const reply = await this.#journalled(asked, { path: '/v1/codes', headers, body: { account } }, dueMs)
    return bodyOf<IssuedCode>(reply)
  }

  /** Wrong digits, which must not open anything. Not in the journal, since they must not leave a trace. */
  async #fumble(account: number, { code, digits }: IssuedCode): Promise<void> {
    const wrong = digits === '000000' ? '000001' : '000000'
    const headers = { 'idempotency-key': this.#options.clock.nextKey() }
    const body = { account, code, digits: wrong, device: 'fumbling' }
    const reply = await this.#options.client.ask({ path: '/v1/sessions', headers, body })
    if (outcomeOf(reply) === 'success') this.#differs(code)
  }

  async #logIn(account: number, { code, digits }: IssuedCode): Promise<OpenSession | undefined> {
    const session = this.#options.clock.nextKey()
    const device = `device-${this.#options.random.below(1000)}`
    const headers = { 'idempotency-key': session }
    const asked = { kind: 'login', key: session, account, code, content: device } as const
    const body = { account, code, digits, device }
    return bodyOf<OpenSession>(await this.#journalled(asked, { path: '/v1/sessions', headers, body }))
  }

  async #logOut(account: number, { session, token }: OpenSession): Promise<Outcome> {
    const asked = { kind: 'logout', key: session, account } as const
    const request = { method: 'DELETE', path: '/v1/sessions/current', headers: bearer(token) } as const
    return outcomeOf(await this.#journalled(asked, request))
  }

  async #expectSession({ session, token }: OpenSession, status: number): Promise<void> {
    const { client, clock, statistics } = this.#options
    const beganMs = clock.nowMs()
    const reply = await client.ask({ method: 'GET', path: '/v1/sessions/current', headers: bearer(token) })
    statistics.ended('check', outcomeOf(reply), clock.nowMs() - beganMs)
    if (reply.result === 'answered' && reply.status !== status) this.#differs(session)
  }

  /** A repeated request must get the first one's answer; another request under the same key must be refused. */
  async #rememberAnswer(dueMs: number, dice: number): Promise<void> {
    const key = this.#options.clock.nextKey()
    const answer = { request: digest(key), status: 201, body: JSON.stringify({ transfer: key }) }
    const kept = answerText(answer)
    const asked = { kind: 'answer', key, account: 0, content: digest(kept) } as const
    const path = `/v1/answers/${key}`
    const reply = await this.#journalled(asked, { method: 'PUT', path, body: answer }, dueMs)
    if (outcomeOf(reply) !== 'success') return
    if (dice === 0) {
      const again = await this.#options.client.ask({ method: 'PUT', path, body: { ...answer, body: 'later' } })
      if (again.result === 'answered' && again.body.toString() !== kept) this.#differs(key)
    }
    if (dice === 1) {
      const other = { ...answer, request: digest('other') }
      const refused = await this.#options.client.ask({ method: 'PUT', path, body: other })
      if (refused.result === 'answered' && refused.status !== 409) this.#differs(key)
    }
  }

  async #journalled(asked: Omit<SessionsAskLine, 't' | 'ms'>, request: HttpRequest, dueMs?: number): Promise<Reply> {
    const { journal, clock, client, statistics } = this.#options
    const beganMs = clock.nowMs()
    const askedAt = Date.now()
    journal.write({ t: 'ask', ...asked, ms: clock.ms })
    const reply = await client.ask(request)
    const outcome = outcomeOf(reply)
    const deadline = this.#deadline(asked.kind, reply, askedAt)
    const { kind, key } = asked
    journal.write({ t: 'end', kind, key, outcome, ...(deadline === undefined ? {} : { deadline }), ms: clock.ms })
    statistics.ended(kind, outcome, clock.nowMs() - (dueMs ?? beganMs))
    return reply
  }

  #deadline(kind: SessionsKind, reply: Reply, askedAt: number): number | undefined {
    if (outcomeOf(reply) !== 'success') return undefined
    if (kind === 'answer') return askedAt + this.#options.answerLifeMs
    return bodyOf<{ deadline: number }>(reply)?.deadline
  }

  #differs(key: string): void {
    const { journal, clock, statistics } = this.#options
    statistics.differing++
    journal.write({ t: 'differs', key, ms: clock.ms })
  }
}

function outcomeOf(reply: Reply): Outcome {
  if (reply.result === 'answered') return reply.status < 300 ? 'success' : 'refused'
  return reply.result === 'not-done' ? 'refused' : 'unknown'
}

function bodyOf<Body>(reply: Reply): Body | undefined {
  if (reply.result !== 'answered' || reply.status >= 300 || reply.body.length === 0) return undefined
  return JSON.parse(reply.body.toString()) as Body
}

function bearer(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` }
}
