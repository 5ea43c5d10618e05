import { AMQPClient } from '@cloudamqp/amqp-client'
import { Findings } from '../findings.ts'
import { LedgerSnapshot } from '../ledger-snapshot.ts'
import { mergeJoin } from '../merge-join.ts'
import { type StoreVerdict, storeVerdict } from '../store-verdict.ts'
import { consumerNames, queuesOf } from './topology.ts'

/** What can be wrong with events, gravest first. Each is counted by event and consumer unless it says otherwise. */
export const eventsCorruptions = {
  outboxMissing: 'payments whose event is not in the outbox',
  outboxDoubled: 'payments with more than one event in the outbox',
  outboxWrong: 'events in the outbox that are not those of their payment',
  unpublished: 'events that were never published',
  lost: 'events that a consumer has not taken',
  doubled: 'events that a consumer has taken more than once',
  unasked: 'events that a consumer has taken and the ledger never sent',
  altered: 'events that a consumer has with another content',
  reordered: 'events that a consumer took before an earlier one of the same account',
  effectWrong: 'effects that are not those of the events taken, by account, event or payment',
  stranded: 'messages that are still in a queue',
  deadLettered: 'messages that were given up',
} as const

export type EventsCorruption = keyof typeof eventsCorruptions
type EventsFindings = Findings<EventsCorruption>

export interface EventsJudgeOptions {
  readonly ledgerUrl: string
  readonly consumersUrl: string
  /** Without it, what is left in queues is not looked at. */
  readonly brokerUrl?: string | undefined
}

/**
 * Holds the ledger's outbox against its transfers, and each consumer's inbox and effects against the outbox. Reads
 * cursors of one snapshot each. Call when nobody pays any more and the queues have had time to run empty.
 */
export async function judgeEvents(options: EventsJudgeOptions): Promise<StoreVerdict<EventsCorruption>> {
  const findings: EventsFindings = new Findings(eventsCorruptions)
  await using ledger = await LedgerSnapshot.open(options.ledgerUrl)
  await using consumers = await LedgerSnapshot.open(options.consumersUrl)
  const judged = { events: 0, taken: 0, messages: 0 }
  await checkOutbox(ledger, findings)
  const beginning = await beginningOf(consumers)
  for (const consumer of consumerNames) {
    const { events, taken } = await checkInbox({ ledger, consumers, consumer, beginning }, findings)
    judged.events = events
    judged.taken += taken
  }
  for (const [corruption, query] of consumerQueries) {
    for await (const { key } of consumers.rows<{ key: string }>(query)) findings.found(corruption, key)
  }
  if (options.brokerUrl) judged.messages = await checkQueues(options.brokerUrl, findings)
  return storeVerdict('events', findings, judged)
}

interface OutboxOddity {
  readonly corruption: 'outboxMissing' | 'outboxDoubled' | 'outboxWrong' | 'unpublished'
  readonly key: string
}

/** Seeded events say less of their payment, and so less of them is checked. */
const outboxOddities = `
  WITH events AS (
    SELECT subject, count(*) AS times, bool_or(published_at IS NULL) AS unpublished,
           min((payload ->> 'amount')::bigint) AS amount, min(payload ->> 'transfer') AS transfer, min(topic) AS topic,
           min((payload -> 'debit' ->> 'account')::bigint) AS debit,
           min((payload -> 'credit' ->> 'account')::bigint) AS credit,
           min((payload -> 'debit' ->> 'seq')::bigint) AS debit_seq,
           min((payload -> 'credit' ->> 'seq')::bigint) AS credit_seq
      FROM ledger.outbox GROUP BY subject
  ), compared AS (
    SELECT coalesce(t.reference, e.subject) AS key, e.unpublished,
           CASE WHEN t.id IS NULL THEN 'outboxWrong'
                WHEN e.subject IS NULL THEN 'outboxMissing'
                WHEN e.times > 1 THEN 'outboxDoubled'
                WHEN e.topic <> 'payments.v1.' || t.kind OR e.amount IS DISTINCT FROM t.amount
                  OR coalesce(e.transfer, t.id::text) <> t.id::text
                  OR coalesce(e.debit, t.debit_account) <> t.debit_account
                  OR coalesce(e.credit, t.credit_account) <> t.credit_account
                  OR e.debit_seq <> d.seq OR e.credit_seq <> c.seq THEN 'outboxWrong' END AS corruption
      FROM ledger.transfers t
      FULL JOIN events e ON e.subject = t.reference
      LEFT JOIN ledger.entries d ON d.transfer_id = t.id AND d.account_id = t.debit_account
      LEFT JOIN ledger.entries c ON c.transfer_id = t.id AND c.account_id = t.credit_account
  )
  SELECT corruption, key FROM compared WHERE corruption IS NOT NULL
  UNION ALL SELECT 'unpublished', key FROM compared WHERE unpublished`

async function checkOutbox(ledger: LedgerSnapshot, findings: EventsFindings): Promise<void> {
  for await (const { corruption, key } of ledger.rows<OutboxOddity>(outboxOddities)) findings.found(corruption, key)
}

async function beginningOf(consumers: LedgerSnapshot): Promise<string> {
  for await (const { outbox_id } of consumers.rows<{ outbox_id: string }>(
    'SELECT outbox_id FROM consumers.beginning',
  )) {
    return BigInt(outbox_id).toString()
  }
  throw new Error('the consumers do not say where they began')
}

interface InboxCheck {
  readonly ledger: LedgerSnapshot
  readonly consumers: LedgerSnapshot
  readonly consumer: string
  /** Digits only. */
  readonly beginning: string
}

interface EventRow {
  readonly id: string
  /** All that must be the same, as a digest. */
  readonly content: string
}

async function checkInbox(
  { ledger, consumers, consumer, beginning }: InboxCheck,
  findings: EventsFindings,
): Promise<{ events: number; taken: number }> {
  const content = `md5(jsonb_build_array(topic, subject, payload)::text) AS content`
  const sent = ledger.rows<EventRow>(
    `SELECT id, ${content} FROM ledger.outbox WHERE id > ${beginning} AND published_at IS NOT NULL ORDER BY id`,
  )
  const taken = consumers.rows<EventRow>(
    `SELECT event AS id, ${content} FROM consumers.inbox WHERE consumer = '${consumer}' ORDER BY event`,
  )
  const keyOf = ({ id }: EventRow) => BigInt(id)
  const counts = { events: 0, taken: 0 }
  for await (const { key, left, right } of mergeJoin({ rows: sent, keyOf }, { rows: taken, keyOf })) {
    const name = `${consumer}:${key}`
    counts.events += left.length
    counts.taken += right.length
    if (right.length > 1) findings.found('doubled', name)
    if (left.length === 0) findings.found('unasked', name)
    else if (right.length === 0) findings.found('lost', name)
    else if (right.some((row) => row.content !== left[0]?.content)) findings.found('altered', name)
  }
  return counts
}

const legs = `
  SELECT consumer, ordinal, event, (leg ->> 'account')::bigint AS account, (leg ->> 'seq')::bigint AS seq, kind, amount
    FROM consumers.inbox,
         LATERAL (SELECT payload ->> 'kind' AS kind, (payload ->> 'amount')::bigint AS amount) p,
         LATERAL (VALUES (payload -> 'debit'), (payload -> 'credit')) l (leg)`

const consumerQueries: ReadonlyArray<readonly [EventsCorruption, string]> = [
  [
    'reordered',
    `SELECT DISTINCT consumer || ':' || event AS key FROM (
       SELECT *, max(seq) OVER (PARTITION BY consumer, account ORDER BY ordinal
                                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS earlier FROM (${legs}) l) o
      WHERE seq < earlier`,
  ],
  ['effectWrong', effects('notification', { table: 'notifications', key: 'event, account, amount', want: notified() })],
  ['effectWrong', effects('settlement', { table: 'settlement_items', key: 'event, payee, amount', want: settled() })],
  ['effectWrong', effects('risk', { table: 'exposures', key: 'account, payments, volume', want: exposed() })],
  ['effectWrong', effects('search-index', { table: 'documents', key: 'transfer, event, body', want: documented() })],
]

interface EffectQuery {
  readonly table: string
  readonly key: string
  readonly want: string
}

/** What the events taken should have led to, worked out anew, against what stands there. */
function effects(consumer: string, { table, key, want }: EffectQuery): string {
  const first = key.split(',')[0]
  return `
    SELECT DISTINCT '${consumer}:' || o.${first} AS key FROM (
      (SELECT ${key} FROM (${want}) w EXCEPT ALL SELECT ${key} FROM consumers.${table})
      UNION ALL
      (SELECT ${key} FROM consumers.${table} EXCEPT ALL SELECT ${key} FROM (${want}) w)) o`
}

function notified(): string {
  return `SELECT event, (payload -> 'debit' ->> 'account')::bigint AS account, -(payload ->> 'amount')::bigint AS amount
            FROM consumers.inbox WHERE consumer = 'notification'
          UNION ALL
          SELECT event, (payload -> 'credit' ->> 'account')::bigint, (payload ->> 'amount')::bigint
            FROM consumers.inbox WHERE consumer = 'notification'`
}

function settled(): string {
  return `SELECT event,
                 (payload -> CASE payload ->> 'kind' WHEN 'capture' THEN 'credit' ELSE 'debit' END ->> 'account')::bigint
                   AS payee,
                 CASE payload ->> 'kind' WHEN 'capture' THEN 1 ELSE -1 END * (payload ->> 'amount')::bigint AS amount
            FROM consumers.inbox WHERE consumer = 'settlement' AND payload ->> 'kind' IN ('capture', 'refund')`
}

function exposed(): string {
  return `SELECT (payload -> 'debit' ->> 'account')::bigint AS account, count(*) AS payments,
                 sum((payload ->> 'amount')::bigint)::bigint AS volume
            FROM consumers.inbox WHERE consumer = 'risk' GROUP BY 1`
}

function documented(): string {
  return `SELECT (payload ->> 'transfer')::bigint AS transfer, event, payload AS body
            FROM consumers.inbox WHERE consumer = 'search-index'`
}

async function checkQueues(brokerUrl: string, findings: EventsFindings): Promise<number> {
  const client = new AMQPClient(brokerUrl)
  const connection = await client.connect()
  try {
    const channel = await connection.channel()
    let messages = 0
    for (const consumer of consumerNames) {
      const { main, retry, dead } = queuesOf(consumer)
      for (const queue of [main, retry, dead]) {
        const { messageCount } = await channel.queueDeclare(queue, { passive: true })
        messages += messageCount
        findings.add(queue === dead ? 'deadLettered' : 'stranded', messageCount, [queue])
      }
    }
    return messages
  } finally {
    await connection.close()
  }
}
