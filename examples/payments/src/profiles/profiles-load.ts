import type { JournalWriter, Outcome } from '../journal.ts'
import type { LoadClock } from '../load-clock.ts'
import type { OperationStatistics } from '../operation-statistics.ts'
import type { HttpRequest, PatientClient, Reply } from '../patient-client.ts'
import type { SeededRandom } from '../seeded-random.ts'
import { notificationDigest, type PaperContent, type ProfileContent, profileDigest } from './profile-documents.ts'
import type { ProfilesAskLine, ProfilesLine } from './profiles-journal.ts'

export interface ProfilesLoadOptions {
  readonly client: PatientClient
  readonly journal: JournalWriter<ProfilesLine>
  readonly clock: LoadClock
  readonly random: SeededRandom
  readonly statistics: OperationStatistics
}

/** What we know of a customer of ours; `busy` while a change is under way, and for ever after an unknown one. */
interface Customer {
  readonly account: number
  version: number
  content: ProfileContent
  papers: readonly PaperContent[]
  busy: boolean
}

interface PlannedChange {
  readonly kind: 'change' | 'departure'
  readonly path: string
  readonly method: 'PUT' | 'POST'
  readonly body: object
  readonly content: ProfileContent
  readonly papers: readonly PaperContent[]
}

const cities = ['Hà Nội', 'Huế', 'Đà Nẵng', 'Cần Thơ', 'Sài Gòn']

/** Customers who come, move house, show their papers and leave; and notifications to them. */
export class ProfilesLoad {
  readonly #options: ProfilesLoadOptions
  readonly #customers: Customer[] = []
  readonly #firstAccount: number

  constructor(options: ProfilesLoadOptions) {
    this.#options = options
    // Accounts of their own for each run, so that it knows all that has happened to them.
    this.#firstAccount = Number.parseInt(options.clock.run, 16) * 1_000_000 + 1
  }

  /** One thing happens to somebody. Latency counts from `dueMs`. Never rejects. */
  async visit(dueMs: number): Promise<void> {
    const { random } = this.#options
    const dice = random.next()
    const known = this.#customers[random.below(Math.max(1, this.#customers.length))]
    if (known === undefined || known.busy || dice < 0.3) return await this.#join(dueMs)
    if (dice < 0.6) return await this.#notify(known.account, dueMs)
    const base = `/v1/profiles/${known.account}`
    const { content, papers } = known
    if (dice < 0.65) {
      const leaving = {
        kind: 'departure',
        path: `${base}/departure`,
        method: 'POST',
        body: {},
        content,
        papers,
      } as const
      return await this.#change(known, leaving, dueMs)
    }
    if (dice < 0.8) {
      const paper = { kind: 'identity card', number: String(random.below(1_000_000_000)) }
      const shown = { content, papers: [...papers, paper] }
      const plan = { kind: 'change', path: `${base}/papers`, method: 'POST', body: paper, ...shown } as const
      return await this.#change(known, plan, dueMs)
    }
    const moved = { ...content, city: this.#city() }
    await this.#change(known, { kind: 'change', path: base, method: 'PUT', body: moved, content: moved, papers }, dueMs)
  }

  async #join(dueMs: number): Promise<void> {
    const account = this.#firstAccount + this.#customers.length
    const content = { name: `Nguyễn Văn ${account}`, phone: `+84${account}`, city: this.#city() }
    const customer = { account, version: 0, content, papers: [], busy: false }
    this.#customers.push(customer)
    const path = `/v1/profiles/${account}`
    await this.#change(customer, { kind: 'change', path, method: 'PUT', body: content, content, papers: [] }, dueMs)
  }

  async #change(customer: Customer, plan: PlannedChange, dueMs: number): Promise<void> {
    customer.busy = true
    const version = customer.version + 1
    const { kind, path, method, body, content, papers } = plan
    const digest = kind === 'change' ? { content: profileDigest(content, papers) } : {}
    const asked = { kind, account: customer.account, version, ...digest } as const
    const reply = await this.#journalled(asked, { method, path, body: { version, ...body } }, dueMs)
    // Of a customer whose state we do not know, or who has left, we ask nothing any more.
    if (outcomeOf(reply) !== 'success' || kind === 'departure') return
    Object.assign(customer, { version, content, papers, busy: false })
  }

  async #notify(account: number, dueMs: number): Promise<void> {
    const text = `You have got ${this.#options.random.below(500)}.000 ₫`
    const asked = { kind: 'notification', account, content: notificationDigest(account, text) } as const
    await this.#journalled(asked, { path: '/v1/notifications', body: { account, text } }, dueMs)
  }

  async #journalled(
    asked: Omit<ProfilesAskLine, 't' | 'key' | 'ms'>,
    request: HttpRequest,
    dueMs: number,
  ): Promise<Reply> {
    const { journal, clock, client, statistics } = this.#options
    const key = clock.nextKey()
    journal.write({ t: 'ask', ...asked, key, ms: clock.ms })
    const reply = await client.ask({ ...request, headers: { 'idempotency-key': key } })
    const outcome = outcomeOf(reply)
    const deadline = asked.kind === 'notification' ? deadlineOf(reply) : {}
    journal.write({ t: 'end', key, outcome, ...deadline, ms: clock.ms })
    statistics.ended(asked.kind, outcome, clock.nowMs() - dueMs)
    // Nobody else changes these customers: that a change conflicts means that one was lost or done twice.
    if (reply.result === 'answered' && reply.status === 409) {
      statistics.differing++
      journal.write({ t: 'differs', key, ms: clock.ms })
    }
    return reply
  }

  #city(): string {
    return cities[this.#options.random.below(cities.length)] ?? ''
  }
}

function outcomeOf(reply: Reply): Outcome {
  if (reply.result === 'answered') return reply.status < 300 ? 'success' : 'refused'
  return reply.result === 'not-done' ? 'refused' : 'unknown'
}

function deadlineOf(reply: Reply): { deadline?: number } {
  if (reply.result !== 'answered' || reply.status >= 300) return {}
  return JSON.parse(reply.body.toString()) as { deadline: number }
}
