import { setTimeout as delay } from 'node:timers/promises'
import type { ApiClient } from '@replatform/control/api-client'
import type { EstateStatus, MoveStatus, Operation } from '@replatform/control/api-types'
import { invariant } from '@replatform/core/errors'
import type { ProgressDisplay } from './progress-display.ts'

export interface Waiting {
  readonly client: ApiClient
  readonly display: ProgressDisplay
  /** Ends the waiting, not what is waited for. */
  readonly interrupted: AbortSignal
}

/** Asks for an operation and shows the estate until it has ended; still `running` when the waiting was interrupted. */
export async function performOperation(
  waiting: Waiting,
  ask: (client: ApiClient) => Promise<Operation>,
): Promise<Operation> {
  const { client, display, interrupted } = waiting
  let operation = await ask(client)
  while (operation.state === 'running' && !interrupted.aborted) {
    display.show(await client.status(), operation)
    await pause(display.intervalMs, interrupted)
    operation = await client.operation(operation.id)
  }
  // The steps that ended since the last look.
  display.show(await client.status(), operation)
  return operation
}

/** Shows the estate until the condition holds; undefined when the waiting was interrupted before. */
export async function watchUntil(
  { client, display, interrupted }: Waiting,
  holds: (status: EstateStatus) => boolean,
): Promise<EstateStatus | undefined> {
  while (!interrupted.aborted) {
    const status = await client.status()
    display.show(status, null)
    if (holds(status)) return status
    await pause(display.intervalMs, interrupted)
  }
  return undefined
}

export function moveIn(status: EstateStatus, name: string): MoveStatus {
  const move = status.moves.find((candidate) => candidate.name === name)
  invariant(move, `The worker knows no move "${name}", though the estate file names it.`)
  return move
}

/** Ends early, and without an error, when interrupted. */
export async function pause(ms: number, interrupted: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal: interrupted }).catch(() => {})
}
