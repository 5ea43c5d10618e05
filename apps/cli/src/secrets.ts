import { readFileSync } from 'node:fs'
import { ReplatformError } from '@replatform/core/errors'

export type ResolveSecret = (reference: string) => string

/**
 * Resolves `env:NAME` and `file:/path` at the moment of use; one line break at the end of a file is left out. Throws
 * `secret.unresolved`, which names the reference and never what it holds. Keeps nothing: a secret that is rotated is
 * read anew.
 */
export function resolveSecret(reference: string, env: NodeJS.ProcessEnv = process.env): string {
  const separator = reference.indexOf(':')
  const scheme = reference.slice(0, separator)
  const name = reference.slice(separator + 1)
  if (scheme === 'env') return fromEnvironment(name, env)
  if (scheme === 'file') return fromFile(name)
  // The text is not shown: what has no known scheme may be the secret itself.
  throw unresolved('A secret is not written as env:NAME or file:/path.')
}

function fromEnvironment(name: string, env: NodeJS.ProcessEnv): string {
  const value = env[name]
  if (value) return value
  const what = value === undefined ? 'is not set' : 'is empty'
  throw unresolved(`The environment variable ${name} ${what}.`)
}

function fromFile(path: string): string {
  const value = readSecretFile(path).replace(/\r?\n$/, '')
  if (value !== '') return value
  throw unresolved(`The file ${path} is empty.`)
}

function readSecretFile(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw unresolved(`The file ${path} ${code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`}.`, cause)
  }
}

function unresolved(message: string, cause?: unknown): ReplatformError {
  return new ReplatformError('secret.unresolved', { message, cause })
}
