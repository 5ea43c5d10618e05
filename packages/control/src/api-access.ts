import { createHash, timingSafeEqual } from 'node:crypto'
import type { Log } from '@replatform/core/connector'
import { ReplatformError } from '@replatform/core/errors'
import type { AccessEntry, AccessRole } from '@replatform/core/estate'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { withOrigin } from './request-origin.ts'

export type Role = AccessRole

export interface Holder {
  readonly name: string
  readonly roles: readonly Role[]
}

/** Whoever may do more may also look. */
const allows: Record<Role, readonly Role[]> = {
  viewer: ['viewer'],
  operator: ['viewer', 'operator'],
  approver: ['viewer', 'approver'],
}
/** Shorter ones could be guessed. */
const fewestCharacters = 24
const hashed = /^sha256:([0-9a-f]{64})$/

/** The tokens of an estate. Only their hashes are kept; a secret may hold the hash itself, as `sha256:` and 64 digits. */
export class AccessTokens {
  readonly #holders: readonly (Holder & { readonly hash: Buffer })[]

  /** Throws `access.unusable` and what `resolve` throws; neither shows a token. */
  constructor(entries: readonly AccessEntry[], resolve: (reference: string) => string) {
    if (entries.length === 0) throw unusable('The estate file lists nobody under "access".')
    this.#holders = entries.map(({ name, roles, token }) => ({ name, roles, hash: hashIn(name, resolve(token)) }))
  }

  /** Looks at all of them, so that the time it takes tells nothing about any. */
  find(token: string): Holder | undefined {
    const hash = sha256(token)
    let found: Holder | undefined
    for (const holder of this.#holders) if (timingSafeEqual(holder.hash, hash)) found ??= holder
    return found
  }
}

/**
 * From here on every request needs a token whose roles allow its route; one that says no role is for nobody. Whoever asks
 * is named by the token and the address, whatever the request claims.
 */
export function guardAccess(server: FastifyInstance, tokens: AccessTokens, log: Log): void {
  const holders = new WeakMap<FastifyRequest, Holder>()
  server.addHook('onRequest', async (request) => {
    const token = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1]
    const holder = token === undefined ? undefined : tokens.find(token)
    if (!holder) {
      log.warn({ from: request.ip }, 'A request to the control API came without a known token.')
      throw new ReplatformError('access.denied', { message: 'This API needs a token that it knows.' })
    }
    holders.set(request, holder)
    requireRole(request, holder, request.routeOptions.config.role ?? 'nobody', log)
  })
  server.addHook('preValidation', async (request) => {
    const holder = holders.get(request) as Holder
    const { body } = request
    if (typeof body !== 'object' || body === null) return
    Object.assign(body, { actor: `${holder.name}@${request.ip}` })
    // It goes past the approval, so an operator alone may not.
    if ('override' in body && body.override === true) requireRole(request, holder, 'approver', log)
  })
  server.addHook('preHandler', (request, _reply, done) => withOrigin(request.ip, done))
}

function requireRole(request: FastifyRequest, { name, roles }: Holder, role: Role | 'nobody', log: Log): void {
  if (role !== 'nobody' && roles.some((held) => allows[held].includes(role))) return
  const { method, url, ip } = request
  log.warn({ holder: name, from: ip, method, url }, 'A request to the control API was refused: the role is missing.')
  const needed = role === 'nobody' ? 'only the local socket may' : `the role ${role} is needed`
  throw new ReplatformError('access.role', { message: `${name} may not ${method} ${url}: ${needed}.` })
}

function hashIn(name: string, secret: string): Buffer {
  const hash = hashed.exec(secret)?.[1]
  if (hash) return Buffer.from(hash, 'hex')
  if (secret.length >= fewestCharacters) return sha256(secret)
  throw unusable(`The token of "${name}" has fewer than ${fewestCharacters} characters.`)
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function unusable(message: string): ReplatformError {
  return new ReplatformError('access.unusable', { message })
}
