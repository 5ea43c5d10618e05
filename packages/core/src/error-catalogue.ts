import { brokers } from './catalogue/brokers.ts'
import { cutovers } from './catalogue/cutovers.ts'
import { postgresql } from './catalogue/postgresql.ts'
import { redis } from './catalogue/redis.ts'
import { surroundings } from './catalogue/surroundings.ts'

export type { CatalogueEntry } from './catalogue/entry.ts'

/** Every error that the product has a name for, in the order of docs/errors.md. */
export const catalogue = {
  ...surroundings,
  ...postgresql,
  ...brokers,
  ...redis,
  ...cutovers,
} as const

export type ErrorCode = keyof typeof catalogue
