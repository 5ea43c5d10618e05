import { Counter, Registry } from 'prom-client'
import type { ConsumerName } from './topology.ts'

/** `done`: taken with its effect. `again`: known already. `later`: sent round again. `dead`: given up. */
export type Handling = 'done' | 'again' | 'later' | 'dead'

/** What Prometheus reads of events, beside what all services have. */
export class EventMetrics {
  readonly registry = new Registry()
  readonly #published = new Counter({
    name: 'events_published_total',
    help: 'Events that the broker confirmed.',
    registers: [this.registry],
  })
  readonly #handled = new Counter({
    name: 'events_handled_total',
    help: 'Deliveries, by consumer and what became of them.',
    labelNames: ['consumer', 'handling'],
    registers: [this.registry],
  })

  published(count: number): void {
    this.#published.inc(count)
  }

  handled(consumer: ConsumerName, handling: Handling): void {
    this.#handled.inc({ consumer, handling })
  }
}
