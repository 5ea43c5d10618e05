import { ReplatformError } from '@replatform/core/errors'
import type { Connection } from './connection.ts'
import type { ControlKeys } from './control-keys.ts'
import { type FlowState, raiseEpoch, readFlow } from './flow-store.ts'
import { readKeyspace } from './server-info.ts'

export interface PrepareOptions {
  readonly target: Connection
  readonly keys: ControlKeys
  readonly fenceTarget: () => Promise<void>
}

/** Takes the target for this move, fences it, and gives the epoch. Idempotent. Rejects with `target.not-empty`. */
export async function prepareLoad({ target, keys, fenceTarget }: PrepareOptions): Promise<number> {
  await target.command('SELECT', 0)
  await requireOurs(target, await readFlow(target, keys))
  await fenceTarget()
  return raiseEpoch(target, keys)
}

async function requireOurs(target: Connection, { epoch }: FlowState): Promise<void> {
  if (epoch !== null) return
  const databases = await readKeyspace(target)
  const keys = [...databases.values()].reduce((sum, count) => sum + count, 0)
  if (keys === 0) return
  throw new ReplatformError('target.not-empty', {
    message: `The target holds ${keys} keys in ${databases.size} databases that this move did not create.`,
  })
}
