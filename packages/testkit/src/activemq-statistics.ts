import { requestJson } from './json-request.ts'

export interface QueueStatistics {
  /** Messages that nobody has acknowledged yet, those under way to a consumer included. */
  readonly size: number
  readonly inFlight: number
  readonly enqueued: number
  readonly dequeued: number
  readonly expired: number
  readonly consumers: number
}

interface JolokiaAccess {
  readonly user: string
  readonly password: string
  readonly ca: string | undefined
}

/** What the broker counts, by way of Jolokia: Amazon MQ offers it in the same place. */
export class ActivemqStatistics {
  readonly url: string
  readonly #access: JolokiaAccess

  constructor(url: string, access: JolokiaAccess) {
    this.url = url
    this.#access = access
  }

  /** `undefined` when there is no such queue. */
  async queue(name: string): Promise<QueueStatistics | undefined> {
    const bean = `org.apache.activemq:type=Broker,brokerName=*,destinationType=Queue,destinationName=${quoted(name)}`
    const [found] = Object.values(await this.read(bean, counters))
    if (!found) return undefined
    return {
      size: found.QueueSize ?? 0,
      inFlight: found.InFlightCount ?? 0,
      enqueued: found.EnqueueCount ?? 0,
      dequeued: found.DequeueCount ?? 0,
      expired: found.ExpiredCount ?? 0,
      consumers: found.ConsumerCount ?? 0,
    }
  }

  /** Throws unless the broker runs. Does not wait long for an answer: it may be something else that is asked. */
  async checkBroker(): Promise<void> {
    const found = await this.read('org.apache.activemq:type=Broker,brokerName=*', ['TotalMessageCount'], 5_000)
    if (Object.keys(found).length === 0) throw new Error('Jolokia knows no broker')
  }

  /** Attributes of every bean that the pattern matches, by its name. */
  async read(
    pattern: string,
    attributes: readonly string[],
    withinMs = 60_000,
  ): Promise<Record<string, Record<string, number>>> {
    const { status, body } = await requestJson(this.url, {
      method: 'POST',
      body: { type: 'read', mbean: pattern, attribute: attributes },
      // Jolokia answers no browser that comes from elsewhere, and takes a client that says nothing for one.
      headers: { origin: new URL(this.url).origin },
      withinMs,
      ...this.#access,
    })
    const answer = body as { status?: number; value?: Record<string, Record<string, number>>; error?: string }
    if (status !== 200) throw new Error(`Jolokia answered ${status}`)
    // 404: nothing matches.
    if (answer.status === 404) return {}
    if (answer.status !== 200 || !answer.value) throw new Error(`Jolokia answered ${answer.status}: ${answer.error}`)
    return answer.value
  }
}

const counters = ['QueueSize', 'InFlightCount', 'EnqueueCount', 'DequeueCount', 'ExpiredCount', 'ConsumerCount']

function quoted(name: string): string {
  return /[,=:"*?]/.test(name) ? `"${name.replace(/["*?\\]/g, '\\$&')}"` : name
}
