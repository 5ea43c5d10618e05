/**
 * Carries the ledger's events to the broker and takes them for every consumer. Prints `{"port":…}` of its health and
 * metrics when it listens; ends on SIGTERM after what it began.
 *
 *     EVENTS_LEDGER_URL=… EVENTS_CONSUMERS_URL=… EVENTS_BROKER_URL=… node events-main.ts [--port 0] [--retry-ms 500]
 *                                                                                       [--rounds 60]
 *
 * `amqp10://` in place of `amqp://` speaks AMQP 1.0 to ActiveMQ. EVENTS_CONSUMERS_BROKER_URL names another broker for the
 * consumers, while they are moved before the relay.
 */
import { parseArgs } from 'node:util'
import { requiredVariable, runMain, wholeNumber } from './environment.ts'
import { EventService } from './events/event-service.ts'
import { serveUntilStopped } from './serve.ts'

await runMain(async () => {
  const { values } = parseArgs({
    options: {
      'port': { type: 'string', default: '0' },
      'retry-ms': { type: 'string', default: '500' },
      'rounds': { type: 'string', default: '60' },
    },
  })
  await using service = new EventService({
    ledgerUrl: requiredVariable('EVENTS_LEDGER_URL'),
    consumersUrl: requiredVariable('EVENTS_CONSUMERS_URL'),
    brokerUrl: requiredVariable('EVENTS_BROKER_URL'),
    consumersBrokerUrl: process.env.EVENTS_CONSUMERS_BROKER_URL || undefined,
    retryMs: wholeNumber(values['retry-ms'], '--retry-ms', 1),
    rounds: wholeNumber(values.rounds, '--rounds', 1),
  })
  await serveUntilStopped(service.app, wholeNumber(values.port, '--port'))
  return 0
})
