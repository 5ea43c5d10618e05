import { BridgeMover } from '@replatform/connector-rabbitmq/bridge-mover'
import { RabbitmqBroker } from '@replatform/connector-rabbitmq/rabbitmq-broker'
import { assessSource } from '@replatform/connector-rabbitmq/source-findings'
import type { Route } from '@replatform/core/connector'
import { ActivemqBroker } from './activemq-broker.ts'
import { ActivemqTopologyTranslation, ReplyAddresses } from './activemq-topology.ts'

export const activemqRoute: Route = {
  source: 'rabbitmq',
  target: 'activemq',
  declares: {
    load: 'none',
    follow: 'polled',
    // The broker admits one connection of a name, and a transaction ends with it.
    epoch: 'credentials',
    fence: { source: true, target: false },
    // Exactly once per queue where its messages carry ids: the plan names each.
    delivery: 'at-least-once',
    reverse: 'drain',
    pause: 'joins',
  },
  open: (open) => {
    const { move, direction, source, target } = open
    const isForward = direction === 'forward'
    const [from, to] = isForward ? [source, target] : [target, source]
    const replies = new ReplyAddresses()
    const old = new RabbitmqBroker({ move, side: isForward ? 'source' : 'target', url: from.url })
    const replyAddress = (queue: string) => replies.of(queue)
    const next = new ActivemqBroker({ move, side: isForward ? 'target' : 'source', url: to.url, replyAddress })
    const translation = new ActivemqTopologyTranslation(next, {
      replies,
      service: to.service,
      isOurs: old.fencePlace.isOurs,
    })
    return new BridgeMover({ open, old, next, translation, assessOld: () => assessSource({ old, next: null }) })
  },
}
