/**
 * Blocks of data that a mover sets aside on its own disk: nobody reads them, and nobody changes them or their order
 * unnoticed, without the key. AES-256-GCM; a sealed block is as long as the plain one and its tag.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { type FileHandle, open, unlink } from 'node:fs/promises'
import { join } from 'node:path'

export const keyBytes = 32
/** What a block grows by. */
export const sealBytes = 16

/** `number` must never be used twice with the same key; up to 2^48. */
export function sealBlock(plain: Buffer, key: Buffer, number: number): Buffer {
  return Buffer.concat(sealParts(plain, key, number))
}

/** As `sealBlock`, in pieces that follow each other, so that a large block is not copied once more. */
export function sealParts(plain: Buffer, key: Buffer, number: number): Buffer[] {
  const cipher = createCipheriv('aes-256-gcm', key, nonceOf(number))
  return [cipher.update(plain), cipher.final(), cipher.getAuthTag()]
}

/** Throws unless the block is the one that was sealed with this key and number. */
export function unsealBlock(sealed: Buffer, key: Buffer, number: number): Buffer {
  const end = sealed.length - sealBytes
  const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(number))
  decipher.setAuthTag(sealed.subarray(end))
  const plain = decipher.update(sealed.subarray(0, end))
  // Checks the tag; this cipher keeps no bytes back, so that nothing has to be put together.
  decipher.final()
  return plain
}

function nonceOf(number: number): Buffer {
  const bytes = Buffer.alloc(12)
  bytes.writeUIntBE(number, 6, 6)
  return bytes
}

/** A file that has no name from its first moment on: nothing of it is left after the process, whatever ends that. */
export async function openNameless(folder: string): Promise<FileHandle> {
  const path = join(folder, `replatform-spool-${randomBytes(8).toString('hex')}`)
  const file = await open(path, 'wx+', 0o600)
  await unlink(path)
  return file
}
