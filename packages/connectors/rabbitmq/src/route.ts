import type { Route } from '@replatform/core/connector'
import { BridgeMover } from './bridge-mover.ts'
import { RabbitmqBroker } from './rabbitmq-broker.ts'
import { RabbitmqTopologyTranslation } from './rabbitmq-topology.ts'
import { assessSource } from './source-findings.ts'

export const rabbitmqRoute: Route = {
  source: 'rabbitmq',
  target: 'rabbitmq',
  declares: {
    load: 'none',
    follow: 'polled',
    epoch: 'credentials',
    fence: { source: true, target: true },
    delivery: 'at-least-once',
    reverse: 'drain',
    pause: 'joins',
  },
  open: (open) => {
    const { move, direction, source, target, log } = open
    const isForward = direction === 'forward'
    const [from, to] = isForward ? [source, target] : [target, source]
    const old = new RabbitmqBroker({ move, side: isForward ? 'source' : 'target', url: from.url, log })
    const next = new RabbitmqBroker({ move, side: isForward ? 'target' : 'source', url: to.url, log })
    const translation = new RabbitmqTopologyTranslation(next, to.service)
    return new BridgeMover({
      open,
      old,
      next,
      translation,
      assessOld: () => assessSource({ old, next }),
    })
  },
}
