import { Counter, collectDefaultMetrics, Histogram, Registry } from 'prom-client'

/** What Prometheus reads from a service. */
export class ServiceMetrics {
  readonly #registry: Registry
  readonly #answers: Counter
  readonly #seconds: Histogram

  /** `registry` may hold figures of the service's own. */
  constructor(service: string, registry = new Registry()) {
    this.#registry = registry
    const registers = [this.#registry]
    this.#answers = new Counter({
      name: `${service}_answers_total`,
      help: 'Answers to requests that change something, by operation and status.',
      labelNames: ['operation', 'status'],
      registers,
    })
    this.#seconds = new Histogram({
      name: `${service}_answer_seconds`,
      help: 'Time until the answer, by operation.',
      labelNames: ['operation'],
      buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers,
    })
    collectDefaultMetrics({ register: this.#registry })
  }

  observe(operation: string, status: number, seconds: number): void {
    this.#answers.inc({ operation, status })
    this.#seconds.observe({ operation }, seconds)
  }

  async text(): Promise<string> {
    return await this.#registry.metrics()
  }

  get contentType(): string {
    return this.#registry.contentType
  }
}
