import { hash } from 'node:crypto'
import type { Binary, Long } from 'mongodb'

/** A customer. Every change makes it the next version, so that what was overtaken or came back is seen. */
export interface ProfileDocument {
  readonly _id: Long
  readonly version: number
  /** Of the change that made this version. */
  readonly lastKey: string
  readonly name: string
  readonly contact: { readonly phone: string; readonly city: string }
  readonly papers: readonly Paper[]
  readonly updatedAt: Date
}

/** What a customer has shown to say who they are. */
export interface Paper {
  readonly kind: string
  readonly number: string
  /** A picture, here a few bytes that follow from the number. */
  readonly scan: Binary
}

/** Who has left: they do not come back by a late request. */
export interface DepartureDocument {
  readonly _id: Long
  readonly version: number
  readonly lastKey: string
}

/** Removed by the server after `expiresAt`, by a TTL index. */
export interface NotificationDocument {
  readonly _id: string
  readonly account: Long
  readonly text: string
  readonly createdAt: Date
  readonly expiresAt: Date
}

export interface ProfileContent {
  readonly name: string
  readonly phone: string
  readonly city: string
}

export interface PaperContent {
  readonly kind: string
  readonly number: string
}

/** Digest of all that customers have told, in the order in which they did. */
export function profileDigest(content: ProfileContent, papers: readonly PaperContent[]): string {
  const { name, phone, city } = content
  return hash('sha256', JSON.stringify([name, phone, city, papers.map(({ kind, number }) => [kind, number])]))
}

export function scanOf(number: string): Buffer {
  return Buffer.from(hash('sha256', number), 'hex')
}

export function notificationDigest(account: number, text: string): string {
  return hash('sha256', JSON.stringify([account, text]))
}
