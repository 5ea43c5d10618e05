import { randomBytes } from 'node:crypto'
import { open } from 'node:fs/promises'
import { join } from 'node:path'

/** Where the first page of a log segment names the cluster it belongs to. */
const segmentIdentityOffset = 24
/** The control file's data ends with its checksum within this many bytes, in every major. */
const controlDataBytesMax = 512

/**
 * Gives a data directory that initdb has just made a system identifier of its own. Copies of one template would
 * otherwise pass for one and the same cluster, and source and target must never look alike.
 */
export async function giveOwnIdentity(dataDir: string): Promise<void> {
  const identity = randomBytes(8)
  await patch(join(dataDir, 'pg_wal', '000000010000000000000001'), (segment) =>
    identity.copy(segment, segmentIdentityOffset),
  )
  await patch(join(dataDir, 'global', 'pg_control'), (control) => {
    const checksumAt = findChecksum(control)
    identity.copy(control, 0)
    control.writeUInt32LE(crc32c(control.subarray(0, checksumAt)), checksumAt)
  })
}

async function patch(path: string, change: (head: Buffer) => void): Promise<void> {
  await using file = await open(path, 'r+')
  const head = Buffer.alloc(controlDataBytesMax)
  await file.read(head, 0, head.length, 0)
  change(head)
  await file.write(head, 0, head.length, 0)
}

function findChecksum(control: Buffer): number {
  for (let offset = 8; offset < controlDataBytesMax; offset += 4) {
    if (control.readUInt32LE(offset) === crc32c(control.subarray(0, offset))) return offset
  }
  throw new Error('The control file has no checksum where one was expected')
}

/** The Castagnoli polynomial, which is not the one of zlib. */
function crc32c(bytes: Buffer): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return ~crc >>> 0
}
