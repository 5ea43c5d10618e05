/** Jolokia answers JMX over HTTP from inside the broker: depths, connections, and the end of a connection. */
import { type IncomingMessage, request as requestPlain } from 'node:http'
import { request as requestTls } from 'node:https'
import { text } from 'node:stream/consumers'
import type { QueueFacts } from '@replatform/connector-rabbitmq/brokers'
import { ReplatformError } from '@replatform/core/errors'
import type { Side } from '@replatform/core/move'
import type { ActivemqAddress } from './address.ts'

const withinMs = 15_000

interface Answer {
  readonly status: number
  readonly value?: unknown
  readonly error?: string
}

export interface BrokerConnection {
  /** The container id of AMQP, the client id of JMS and STOMP. */
  readonly client: string
  readonly protocol: string
  readonly bean: string
}

export class Jolokia {
  readonly #address: ActivemqAddress
  readonly #side: Side

  constructor(address: ActivemqAddress, side: Side) {
    this.#address = address
    this.#side = side
  }

  /** Figures of each queue that exists; rates are not told. */
  async facts(): Promise<QueueFacts[]> {
    const found = await this.#read(
      'org.apache.activemq:type=Broker,brokerName=*,destinationType=Queue,destinationName=*',
      ['Name', 'QueueSize', 'InFlightCount', 'ConsumerCount', 'StoreMessageSize'],
    )
    return found.map((one) => ({
      name: String(one.Name),
      type: 'classic',
      ready: Math.max(Number(one.QueueSize) - Number(one.InFlightCount), 0),
      unacknowledged: Number(one.InFlightCount),
      bytes: Number(one.StoreMessageSize),
      consumers: Number(one.ConsumerCount),
      publishedPerSecond: 0,
      deliveredPerSecond: 0,
    }))
  }

  /** Every client that is connected, by any protocol. */
  async connections(): Promise<BrokerConnection[]> {
    const pattern = 'org.apache.activemq:type=Broker,connector=clientConnectors,connectionViewType=clientId,*'
    const answer = await this.#ask({ type: 'search', mbean: pattern })
    return (answer.value as string[]).map((bean) => ({
      client: partOf(bean, 'connectionName'),
      protocol: partOf(bean, 'connectorName'),
      bean,
    }))
  }

  /** Tolerates one that is gone. */
  async endConnection({ bean }: BrokerConnection): Promise<void> {
    await this.#ask({ type: 'exec', mbean: bean, operation: 'stop' })
  }

  /** Tolerates absence. Whatever is in the queue goes with it. */
  async removeQueue(name: string): Promise<void> {
    for (const bean of await this.#brokers()) {
      await this.#ask({ type: 'exec', mbean: bean, operation: 'removeQueue(java.lang.String)', arguments: [name] })
    }
  }

  async version(): Promise<string> {
    const [broker] = await this.#read('org.apache.activemq:type=Broker,brokerName=*', ['BrokerVersion'])
    return String(broker?.BrokerVersion ?? '?')
  }

  /** A new one each time that the broker begins to run. */
  async brokerId(): Promise<string> {
    const [broker] = await this.#read('org.apache.activemq:type=Broker,brokerName=*', ['BrokerId'])
    return String(broker?.BrokerId ?? '?')
  }

  async #brokers(): Promise<string[]> {
    return (await this.#ask({ type: 'search', mbean: 'org.apache.activemq:type=Broker,brokerName=*' }))
      .value as string[]
  }

  async #read(mbean: string, attribute: readonly string[]): Promise<Record<string, unknown>[]> {
    const { status, value } = await this.#ask({ type: 'read', mbean, attribute })
    return status === 404 ? [] : Object.values(value as Record<string, Record<string, unknown>>)
  }

  async #ask(body: object): Promise<Answer> {
    const { status, text: answered } = await this.#post(JSON.stringify(body))
    const where = `Jolokia of the ${this.#side} (${new URL(this.#address.jolokia).host})`
    if (status === 401) throw new ReplatformError('auth.failed', { message: `${where} refused the user.` })
    if (status === 403) throw new ReplatformError('auth.missing-rights', { message: `${where} refused the request.` })
    const answer = parsed(answered)
    if (status !== 200 || !answer) {
      throw new ReplatformError('activemq.unexpected-answer', {
        message: `${where} answered ${status} without a result.`,
      })
    }
    if (answer.status === 403) {
      throw new ReplatformError('auth.missing-rights', { message: `${where} does not let the user do that.` })
    }
    if (answer.status !== 200 && answer.status !== 404) {
      throw new ReplatformError('activemq.unexpected-answer', { message: `${where} answered ${answer.status}.` })
    }
    return answer
  }

  async #post(body: string): Promise<{ readonly status: number; readonly text: string }> {
    const { jolokia, user, password, tls } = this.#address
    const secure = jolokia.startsWith('https:')
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    const request = (secure ? requestTls : requestPlain)(jolokia, {
      method: 'POST',
      auth: `${user}:${password}`,
      signal: AbortSignal.timeout(withinMs),
      // It takes a client that says nothing for a browser that comes from elsewhere.
      headers: { 'content-type': 'application/json', 'origin': new URL(jolokia).origin },
      ...(secure ? tls : {}),
    })
    request.on('error', reject)
    request.on('response', resolve)
    request.end(body)
    try {
      const response = await promise
      return { status: response.statusCode ?? 0, text: await text(response) }
    } catch (cause) {
      const { host } = new URL(jolokia)
      throw new ReplatformError('connection.refused', {
        message: `Jolokia of the ${this.#side} does not answer at ${host}.`,
        next: 'Name its address behind ?jolokia= in the address of the store, and open its port to this machine.',
        cause,
      })
    }
  }
}

function partOf(bean: string, key: string): string {
  return new RegExp(`[:,]${key}=([^,]*)`).exec(bean)?.[1] ?? ''
}

function parsed(body: string): Answer | undefined {
  try {
    return JSON.parse(body) as Answer
  } catch {
    return undefined
  }
}
