/**
 * Tells people and programs of changes of state and of gates. What happens is put into the job queue and forgotten: no
 * cutover waits for a mail server. A delivery is tried again until it succeeds or a day has gone by.
 */
import type { Log } from '@replatform/core/connector'
import type { Estate, NotifyEntry, NotifyEvent } from '@replatform/core/estate'
import type { AuditEntry } from './api-types.ts'
import type { MoveRecord } from './move-records.ts'

export interface Notification {
  /** The same however often it is delivered. */
  readonly id: string
  readonly event: NotifyEvent
  /** ISO 8601. */
  readonly at: string
  readonly estate: string
  /** A move, or `wave` and its name. */
  readonly subject: string | null
  /** One line. */
  readonly title: string
  readonly detail: string
}

export type News = Omit<Notification, 'id' | 'estate'>

/** One delivery, as it stands in the queue: no secret, only the reference that tells the target from others. */
export interface Delivery {
  readonly target: string
  readonly notification: Notification
}

export interface NotifierOptions {
  readonly estate: Estate
  readonly send: (delivery: Delivery) => Promise<void>
  readonly newId: () => string
  readonly log: Log
}

export class Notifier {
  readonly #options: NotifierOptions

  constructor(options: NotifierOptions) {
    this.#options = options
  }

  /** Returns at once, and never throws. */
  tell(news: News): void {
    const { estate, send, newId, log } = this.#options
    const targets = (estate.notify ?? []).filter(({ events }) => events?.includes(news.event) ?? true)
    if (targets.length === 0) return
    const notification = { id: newId(), estate: estate.estate, ...news }
    for (const target of targets) {
      void send({ target: targetKey(target), notification }).catch((thrown) => {
        log.warn({ err: thrown, event: news.event }, 'A notification could not be put into the queue.')
      })
    }
  }
}

/** Tells a target from the others of an estate, also after the file was edited. */
export function targetKey({ kind, url }: NotifyEntry): string {
  return `${kind} ${url}`
}

/** What changed in a move that is worth telling. */
export function newsOfMove(before: MoveRecord, now: MoveRecord, at: string): News | null {
  const { name: subject, state, paused } = now
  if (paused && paused.reason !== before.paused?.reason) {
    return { event: 'state', at, subject, title: `${subject} is paused`, detail: paused.reason }
  }
  if (state === before.state) return null
  return { event: 'state', at, subject, title: `${subject} is ${state}`, detail: `It was ${before.state}.` }
}

const ofCutovers = ['cutover', 'rollback', 'rehearse']
const ofGates = ['approve', 'override']

/** What of the audit log is worth telling. */
export function newsOfEntry({
  at,
  actor,
  verb,
  move,
  outcome,
  detail,
}: Omit<AuditEntry, 'id' | 'origin'>): News | null {
  const title = `${verb}${move ? ` of ${move}` : ''}: ${outcome} (${actor})`
  const news = { at, subject: move, title, detail }
  if (verb === 'incident') return { event: 'incident', ...news }
  if (ofGates.includes(verb) || detail.startsWith('gate.')) return { event: 'gate', ...news }
  return ofCutovers.includes(verb) ? { event: 'cutover', ...news } : null
}
