import { ReplatformError } from '@replatform/core/errors'

/** Codes of Node.js and of PostgreSQL that say that the server is away, not that it refuses. */
const away = /^(ECONN|EPIPE|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|EAI_AGAIN|ENOTFOUND|08|53300|57P0[123])/
/** What `pg` says without a code. */
const broken = /connection terminated|timeout exceeded when trying to connect|not queryable/i

/** A control database that is away comes back: whoever can wait does. Everything else is thrown as it is. */
export function controlError(thrown: unknown): unknown {
  const { code = '', message } = thrown as Error & { code?: string }
  if (thrown instanceof ReplatformError || !(away.test(code) || broken.test(message))) return thrown
  const text = `The control database does not answer: ${message}.`
  return new ReplatformError('connection.lost', { message: text, cause: thrown })
}
