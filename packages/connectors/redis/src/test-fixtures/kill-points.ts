/** Where a mover of this connector is killed, whatever form its sides have. */
import type { MoveState } from '@replatform/core/move'
import type { MoverEvent } from '@replatform/engine/mover-protocol'
import type { TestMover } from '@replatform/testkit/mover-process'

export interface KillPoint {
  readonly name: string
  readonly reached: (mover: TestMover) => Promise<unknown>
}

const loadedRows = (rows: number) => (e: MoverEvent) =>
  e.event === 'load' && e.groups.reduce((sum, group) => sum + group.loaded.rows, 0) >= rows

export const killPoints: readonly KillPoint[] = [
  { name: 'prepared', reached: (mover) => mover.waitFor((e) => e.event === 'state' && e.state === 'prepared') },
  { name: 'in the middle of the load', reached: (mover) => mover.waitFor(loadedRows(1)) },
  {
    name: 'when the load has ended',
    reached: (mover) => mover.waitFor((e) => e.event === 'state' && e.state === 'catching-up'),
  },
  { name: 'while following', reached: (mover) => mover.waitFor((e) => e.event === 'follow' && e.progress.rows > 200) },
  {
    name: 'while comparing',
    reached: async (mover) => {
      await mover.waitFor((e) => e.event === 'state' && e.state === 'in-sync')
      mover.client.call('compare', { direction: 'forward', scope: 'all', at: 'live' }).catch(() => {})
      await mover.waitFor((e) => e.event === 'compare')
    },
  },
]

export function lastState(mover: TestMover): MoveState {
  const states = mover.events.flatMap((e) => (e.event === 'state' ? [e.state] : []))
  return states.at(-1) ?? 'planned'
}
