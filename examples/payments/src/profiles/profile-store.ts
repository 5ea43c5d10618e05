import {
  Binary,
  type Collection,
  type Db,
  Long,
  MongoClient,
  MongoNetworkError,
  MongoServerError,
  type UpdateFilter,
} from 'mongodb'
import { StoreUnavailable } from '../store-unavailable.ts'
import {
  type DepartureDocument,
  type NotificationDocument,
  type PaperContent,
  type ProfileContent,
  type ProfileDocument,
  scanOf,
} from './profile-documents.ts'

/** `again`: it was done before by this very request. `conflict`: this version has been made otherwise, or cannot be. */
export type ChangeOutcome = 'done' | 'again' | 'conflict'

export interface Change {
  readonly account: number
  /** That the change makes: one more than what it starts from. */
  readonly version: number
  readonly key: string
}

export interface ProfileStoreOptions {
  readonly url: string
  /** How long a request waits for a member that takes it. */
  readonly answerMs: number
  /** Lifetime of notifications, in milliseconds. */
  readonly notificationMs: number
}

/** Customers and what they are told, in MongoDB. Every write is acknowledged by a majority. */
export class ProfileStore {
  readonly #options: ProfileStoreOptions
  readonly #client: MongoClient
  readonly #profiles: Collection<ProfileDocument>
  readonly #departures: Collection<DepartureDocument>
  readonly #notifications: Collection<NotificationDocument>

  constructor(options: ProfileStoreOptions) {
    this.#options = options
    this.#client = new MongoClient(options.url, {
      writeConcern: { w: 'majority' },
      serverSelectionTimeoutMS: options.answerMs,
      promoteLongs: false,
    })
    const database = this.#client.db()
    this.#profiles = database.collection('profiles')
    this.#departures = database.collection('departures')
    this.#notifications = database.collection('notifications')
  }

  async describe(change: Change, { name, phone, city }: ProfileContent): Promise<ChangeOutcome> {
    const contact = { phone, city }
    if (change.version > 1) return await this.#update(change, { $set: { name, contact } })
    return await answered(async () => {
      const { key, version } = change
      const _id = Long.fromNumber(change.account)
      if (await this.#departures.findOne({ _id })) return 'conflict'
      const profile = { _id, version, lastKey: key, name, contact, papers: [], updatedAt: new Date() }
      try {
        await this.#profiles.insertOne(profile)
        return 'done'
      } catch (error) {
        if (error instanceof MongoServerError && error.code === 11000) return await this.#outcomeSoFar(change)
        throw error
      }
    })
  }

  async addPaper(change: Change, { kind, number }: PaperContent): Promise<ChangeOutcome> {
    return await this.#update(change, { $push: { papers: { kind, number, scan: new Binary(scanOf(number)) } } })
  }

  /** Removes the profile for good. */
  async leave(change: Change): Promise<ChangeOutcome> {
    return await answered(async () => {
      const _id = Long.fromNumber(change.account)
      const { version, key } = change
      await using session = this.#client.startSession()
      const isGone = await session.withTransaction(async () => {
        const removed = await this.#profiles.deleteOne({ _id, version: version - 1 }, { session })
        if (removed.deletedCount === 0) return false
        await this.#departures.insertOne({ _id, version, lastKey: key }, { session })
        return true
      })
      if (isGone) return 'done'
      const departure = await this.#departures.findOne({ _id })
      return departure?.lastKey === key ? 'again' : 'conflict'
    })
  }

  async find(account: number): Promise<ProfileDocument | undefined> {
    return await answered(async () => (await this.#profiles.findOne({ _id: Long.fromNumber(account) })) ?? undefined)
  }

  /** Returns when it will be gone. The first one under a key stays. */
  async notify(key: string, account: number, text: string): Promise<Date> {
    return await answered(async () => {
      const createdAt = new Date()
      const expiresAt = new Date(createdAt.getTime() + this.#options.notificationMs)
      const notification = { account: Long.fromNumber(account), text, createdAt, expiresAt }
      const options = { upsert: true, returnDocument: 'after' } as const
      const kept = await this.#notifications.findOneAndUpdate({ _id: key }, { $setOnInsert: notification }, options)
      return kept?.expiresAt ?? expiresAt
    })
  }

  async ping(): Promise<void> {
    await answered(async () => await this.#client.db().command({ ping: 1 }))
  }

  async close(): Promise<void> {
    await this.#client.close()
  }

  async #update(change: Change, update: UpdateFilter<ProfileDocument>): Promise<ChangeOutcome> {
    const { account, version, key } = change
    const $set = { ...update.$set, version, lastKey: key, updatedAt: new Date() }
    return await answered(async () => {
      const filter = { _id: Long.fromNumber(account), version: version - 1 }
      const { matchedCount } = await this.#profiles.updateOne(filter, { ...update, $set })
      return matchedCount === 1 ? 'done' : await this.#outcomeSoFar(change)
    })
  }

  async #outcomeSoFar({ account, version, key }: Change): Promise<ChangeOutcome> {
    const profile = await this.#profiles.findOne({ _id: Long.fromNumber(account) })
    return profile?.version === version && profile.lastKey === key ? 'again' : 'conflict'
  }
}

/** Creates the indexes; repeating it changes nothing. */
export async function createProfileIndexes(database: Db): Promise<void> {
  await database.collection('profiles').createIndex({ 'contact.phone': 1 }, { unique: true })
  await database.collection('notifications').createIndex({ account: 1, createdAt: -1 })
  await database.collection('notifications').createIndex({ expiresAt: 1 }, { expireAfterSeconds: 0 })
}

async function answered<Value>(work: () => Promise<Value>): Promise<Value> {
  try {
    return await work()
  } catch (error) {
    // What the server refuses is certainly not done, except where it says so itself because it loses its role.
    const refused = error instanceof MongoServerError && !(error instanceof MongoNetworkError)
    const doubtful = refused && (error.hasErrorLabel('RetryableWriteError') || error.codeName === 'WriteConcernFailed')
    throw new StoreUnavailable(refused && !doubtful ? 'not-done' : 'unknown', error)
  }
}
