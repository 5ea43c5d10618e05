import { type CatalogueEntry, nothingTouched, progressKept } from './entry.ts'

/** Moves of RabbitMQ, to itself and to ActiveMQ. */
export const brokers = {
  'rabbitmq.unexpected-answer': {
    retry: 'operator',
    meaning: 'The management API answered something that RabbitMQ does not answer.',
    untouched: nothingTouched,
    next: 'Check that management in the address leads to the management plugin of that broker, not to a proxy or login page.',
  },
  'topology.invalid': {
    retry: 'operator',
    meaning: 'The plan of a topology was edited into something that cannot be applied.',
    untouched: nothingTouched,
    next: 'Correct what the message names; `replatform assess` shows what the plan then does.',
  },
  'topology.differs': {
    retry: 'operator',
    meaning: 'The target already has an object of that name with other properties, which cannot be altered.',
    untouched: nothingTouched,
    next: 'Delete it on the target, or bring the plan into line with it, then start again.',
  },
  'rabbitmq.left-behind': {
    retry: 'operator',
    meaning: 'Messages are left on the broker that is not in use; ending the move would forget them.',
    untouched: progressKept,
    next: 'Run the move until they have crossed (`replatform status`); for queues that nobody wants, empty them yourself.',
  },
  'rabbitmq.refused': {
    retry: 'operator',
    meaning: 'The broker refused what the move asked of it.',
    untouched: progressKept,
    next: 'Read its reason in the message, correct the plan or the broker, then `replatform resume`.',
  },
  'activemq.unexpected-answer': {
    retry: 'operator',
    meaning: 'Jolokia, the management API of ActiveMQ, answered something else than a result.',
    untouched: nothingTouched,
    next: 'Check that jolokia in the address of the store leads to /api/jolokia of that broker, not to a login page.',
  },
  'activemq.refused': {
    retry: 'operator',
    meaning: 'ActiveMQ refused what the move asked of it.',
    untouched: progressKept,
    next: 'Read its reason in the message, correct the plan or the broker, then `replatform resume`.',
  },
  'activemq.no-answer': {
    retry: 'retry',
    meaning: 'The connection to ActiveMQ stands, but one question of the move was not answered in time.',
    untouched: progressKept,
    next: 'Nothing: the move connects anew. If it comes back, look at the memory, the store and the log of the broker.',
  },
  'activemq.message-too-large': {
    retry: 'operator',
    meaning: 'A message is larger than a connector of ActiveMQ takes; it would end the connection.',
    untouched: 'The message stays on the source, and with it all that is behind it in the queue.',
    next: 'Take the message out of the source queue by hand, or give the queue `carry: never` in the plan.',
  },
} as const satisfies Record<string, CatalogueEntry>
