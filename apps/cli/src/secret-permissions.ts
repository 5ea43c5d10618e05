import { statSync } from 'node:fs'

/** Undefined where only the owner can read the secret; otherwise what is wrong, for a person. Secrets are not read. */
export function exposureOf(reference: string): string | undefined {
  if (!reference.startsWith('file:')) return undefined
  const path = reference.slice('file:'.length)
  const { mode } = statSync(path, { throwIfNoEntry: false }) ?? { mode: 0 }
  if ((mode & 0o077) === 0) return undefined
  const readers = mode & 0o007 ? 'everybody on this machine' : 'its group'
  return `${path} is open to ${readers}; chmod 600 it`
}
