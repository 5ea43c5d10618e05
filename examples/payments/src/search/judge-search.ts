import { hash } from 'node:crypto'
import { Client } from '@elastic/elasticsearch'
import { Findings } from '../findings.ts'
import { readJournal } from '../journal.ts'
import { LedgerSnapshot } from '../ledger-snapshot.ts'
import { mergeJoin } from '../merge-join.ts'
import { type StoreVerdict, storeVerdict } from '../store-verdict.ts'
import { type TakenPayment, takenPayments, transactionDocument, transactionsPattern } from './search-documents.ts'
import type { SearchLine } from './search-journal.ts'

/** What can be wrong with search, gravest first. Each is counted by transfer; what is late, by payment. */
export const searchCorruptions = {
  lost: 'payments that cannot be found, though their time to be indexed is over',
  late: 'payments that a customer could not find in the time in which they had to be found',
  doubled: 'payments that are found more than once',
  unasked: 'documents of payments that there are not',
  altered: 'documents with another content than their payment',
  versionDiffers: 'documents whose version is not that of their event, so that an old write could replace them',
} as const

export type SearchCorruption = keyof typeof searchCorruptions

export interface SearchJudgeOptions {
  readonly url: string
  readonly consumersUrl: string
  /** Of customers who looked for what they had paid; without them nothing is known to be late. */
  readonly journals?: readonly string[]
  /** How soon a payment must be found after its event was taken. */
  readonly freshnessMs?: number
}

interface Hit {
  readonly _id: string
  readonly _version: number
  readonly _source: { readonly event: number }
  readonly sort: readonly (string | number)[]
}

const pageSize = 2000

/** Holds what is found against what the consumer `search-index` has taken. Call when nothing more is indexed. */
export async function judgeSearch(options: SearchJudgeOptions): Promise<StoreVerdict<SearchCorruption>> {
  const findings: Findings<SearchCorruption> = new Findings(searchCorruptions)
  const latest = Date.now() - (options.freshnessMs ?? 5000)
  await using consumers = await LedgerSnapshot.open(options.consumersUrl)
  const taken = consumers.rows<TakenPayment>(`${takenPayments} ORDER BY d.event`)
  const judged = { payments: 0, documents: 0 }
  let sought = 0
  const joined = mergeJoin<bigint, TakenPayment, Hit>(
    { rows: taken, keyOf: ({ event }) => BigInt(event) },
    { rows: allHits(options.url), keyOf: ({ sort }) => BigInt(sort[0] ?? 0) },
  )
  for await (const { left, right, key } of joined) {
    const [payment] = left
    const [hit] = right
    judged.payments += left.length
    judged.documents += right.length
    const name = `transfer:${payment?.transfer ?? hit?._id}`
    if (payment === undefined) findings.found('unasked', name)
    else if (hit === undefined) {
      if (payment.taken_at.getTime() < latest) findings.found('lost', name)
    } else {
      if (right.length > 1) findings.found('doubled', name)
      if (hit._id !== payment.transfer || digest(hit._source) !== digest(transactionDocument(payment))) {
        findings.found('altered', name)
      }
      if (BigInt(hit._version) !== key) findings.found('versionDiffers', name)
    }
  }
  for (const journal of options.journals ?? []) sought += await checkSought(journal, findings)
  return storeVerdict('search', findings, { ...judged, sought })
}

/** Returns how many were looked for. */
async function checkSought(journal: string, findings: Findings<SearchCorruption>): Promise<number> {
  let sought = 0
  for await (const line of readJournal<SearchLine>(journal)) {
    if (line.t !== 'sought') continue
    sought++
    if (line.foundMs === null) findings.found('late', line.key)
  }
  return sought
}

/** All documents as a search finds them, ascending by event, a page at a time. */
async function* allHits(url: string): AsyncGenerator<Hit> {
  const { origin, username, password } = new URL(url)
  const auth = { username: decodeURIComponent(username), password: decodeURIComponent(password) }
  const client = new Client({ node: origin, ...(username === '' ? {} : { auth }), requestTimeout: 30_000 })
  try {
    let after: Hit['sort'] | undefined
    for (;;) {
      const sort = [{ event: 'asc' }, { _id: 'asc' }]
      const body = { size: pageSize, version: true, sort, ...(after ? { search_after: after } : {}) }
      const answer = await client.search<{ hits: { hits: Hit[] } }>({ index: transactionsPattern, body })
      const { hits } = answer.body.hits
      yield* hits
      after = hits.at(-1)?.sort
      if (hits.length < pageSize || !after) return
    }
  } finally {
    await client.close()
  }
}

/** Whatever the order of its fields. */
function digest(source: object): string {
  return hash('sha256', JSON.stringify(Object.entries(source).sort(([one], [other]) => (one < other ? -1 : 1))))
}
