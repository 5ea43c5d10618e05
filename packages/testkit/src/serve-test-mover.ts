import type { Endpoint, Route } from '@replatform/core/connector'
import { serveMover } from '@replatform/engine/mover-host'
import { parentChannel } from '@replatform/engine/process-channel'

/** The whole of a process that `TestMover` forks: one route, its two sides taken from the environment. Then exits. */
export async function serveTestMover(route: Route): Promise<never> {
  const sides = JSON.parse(process.env.TEST_MOVER_SIDES ?? '') as { source: Endpoint; target: Endpoint }
  await serveMover({
    channel: parentChannel(),
    openMover: (spec, direction) => {
      const flow = direction === 'forward' ? sides : { source: sides.target, target: sides.source }
      const log = { info() {}, warn() {}, error() {} }
      const { topology, spool, workers = 2 } = spec.store
      return route.open({ move: spec.name, direction, ...flow, tools: {}, workers, topology, spool, log })
    },
  })
  process.exit(0)
}
