import { Client, errors } from '@elastic/elasticsearch'
import { StoreUnavailable } from '../store-unavailable.ts'
import { merchantsDefinition, merchantsIndex, transactionsPattern, transactionTemplate } from './search-documents.ts'

export interface VersionedDocument {
  readonly index: string
  readonly id: string
  readonly version: number
  readonly source: object
}

export interface FoundDocument {
  readonly _id: string
  readonly _source: unknown
}

/** Documents that know their version: an older one never replaces a newer one, however late it comes. */
export class SearchStore {
  readonly #client: Client

  constructor(url: string) {
    const { origin, username, password } = new URL(url)
    const auth = { username: decodeURIComponent(username), password: decodeURIComponent(password) }
    this.#client = new Client({
      node: origin,
      ...(username === '' ? {} : { auth }),
      requestTimeout: 10_000,
      maxRetries: 2,
    })
  }

  /** Creates what indexes are made after; repeating it changes nothing. */
  async prepare(): Promise<void> {
    await this.#ask(() => this.#client.indices.putTemplate({ name: 'transactions', body: transactionTemplate }))
    const exists = await this.#ask(() => this.#client.indices.exists({ index: merchantsIndex }))
    if (exists.statusCode === 404) {
      await this.#ask(() => this.#client.indices.create({ index: merchantsIndex, body: merchantsDefinition }))
    }
  }

  /** Returns when all are written; those that are there in this version or a later one stay. */
  async index(documents: readonly VersionedDocument[]): Promise<void> {
    if (documents.length === 0) return
    const body = documents.flatMap(({ index, id, version, source }) => [
      { index: { _index: index, _id: id, version, version_type: 'external' } },
      source,
    ])
    const answer = await this.#ask(() => this.#client.bulk<BulkAnswer>({ body }))
    const failed = answer.body.items.find(({ index }) => index.error && index.status !== 409)
    if (failed) throw new StoreUnavailable('unknown', new Error(`${failed.index.error?.type} at ${failed.index._id}`))
  }

  /** The newest first. */
  async transactionsOf(account: number, size: number): Promise<FoundDocument[]> {
    const query = { bool: { should: [{ term: { debit: account } }, { term: { credit: account } }] } }
    const body = { query, sort: [{ event: 'desc' }], size }
    return await this.#search(transactionsPattern, body)
  }

  async transactionBy(reference: string): Promise<FoundDocument | undefined> {
    return (await this.#search(transactionsPattern, { query: { term: { reference } }, size: 1 }))[0]
  }

  async merchantsNamed(text: string): Promise<FoundDocument[]> {
    return await this.#search(merchantsIndex, { query: { match: { name: { query: text, operator: 'and' } } } })
  }

  async ping(): Promise<void> {
    await this.#ask(() => this.#client.ping())
  }

  async close(): Promise<void> {
    await this.#client.close()
  }

  async #search(index: string, body: object): Promise<FoundDocument[]> {
    const answer = await this.#ask(() => this.#client.search<SearchAnswer>({ index, body, ignore_unavailable: true }))
    return answer.body.hits.hits
  }

  async #ask<Value>(work: () => Promise<Value>): Promise<Value> {
    try {
      return await work()
    } catch (error) {
      const refused = error instanceof errors.ResponseError && (error.statusCode ?? 500) < 500
      throw new StoreUnavailable(refused ? 'not-done' : 'unknown', error)
    }
  }
}

interface BulkAnswer {
  readonly items: readonly {
    readonly index: { readonly _id: string; readonly status: number; readonly error?: { readonly type: string } }
  }[]
}

interface SearchAnswer {
  readonly hits: { readonly hits: FoundDocument[] }
}
