/** Names of what stands in an RDB file, and the errors of reading one. */
import { ReplatformError } from '@replatform/core/errors'

export const opcode = {
  slotImport: 0xf3,
  slotInfo: 0xf4,
  function2: 0xf5,
  functionPreGa: 0xf6,
  moduleAux: 0xf7,
  idle: 0xf8,
  frequency: 0xf9,
  aux: 0xfa,
  resizeDb: 0xfb,
  expireTimeMs: 0xfc,
  expireTime: 0xfd,
  selectDb: 0xfe,
  end: 0xff,
} as const

export const valueType = {
  string: 0,
  list: 1,
  set: 2,
  zset: 3,
  hash: 4,
  zset2: 5,
  module: 6,
  module2: 7,
  hashZipmap: 9,
  listZiplist: 10,
  setIntset: 11,
  zsetZiplist: 12,
  hashZiplist: 13,
  listQuicklist: 14,
  streamListpacks: 15,
  hashListpack: 16,
  zsetListpack: 17,
  listQuicklist2: 18,
  streamListpacks2: 19,
  setListpack: 20,
  streamListpacks3: 21,
} as const

/** Redis 7.2 and Valkey 8 write 11. What is newer may hold encodings whose end nobody here knows. */
export const newestRdbVersion = 11

export function isStream(type: number): boolean {
  return (
    type === valueType.streamListpacks || type === valueType.streamListpacks2 || type === valueType.streamListpacks3
  )
}

export function malformedRdb(what: string): ReplatformError {
  return new ReplatformError('redis.rdb-malformed', { message: `The snapshot of the source cannot be read: ${what}.` })
}

export function unsupportedValue(type: number): ReplatformError {
  if (type === valueType.module || type === valueType.module2) {
    return new ReplatformError('redis.module-value', { message: 'A key of the source holds a value of a module.' })
  }
  return new ReplatformError('redis.unsupported-encoding', {
    message: `A key of the source holds a value of encoding ${type}, which no known version of Redis or Valkey writes.`,
  })
}

export function valueTooLarge(bytes: number): ReplatformError {
  return new ReplatformError('redis.value-too-large', {
    message: `A key of the source holds a single piece of more than ${bytes} bytes, which cannot be carried in parts.`,
  })
}
