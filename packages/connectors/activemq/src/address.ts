import { type BrokerUrl, managementIn, readBrokerUrl } from '@replatform/connector-rabbitmq/broker-url'
import { ReplatformError } from '@replatform/core/errors'

/** Where a broker of ActiveMQ is and who asks. Holds the password: never logged. */
export interface ActivemqAddress extends BrokerUrl {
  /** Of Jolokia, which tells depths and ends connections; the user is that of the broker. */
  readonly jolokia: string
}

/**
 * Reads `amqps://user:password@host:port` (AMQP 1.0; `amqp://` without TLS). `?jolokia=https://host:port/api/jolokia`
 * names the management API where it is not on the port of Amazon MQ (8162, without TLS 8161), `?ca=/path` an authority
 * of one's own for both. An error never carries the address, since a password is part of it.
 */
export function parseActivemqAddress(url: string): ActivemqAddress {
  const { url: parsed, broker } = readBrokerUrl(url, unreadable)
  const usual = `${broker.tls ? `https://${parsed.hostname}:8162` : `http://${parsed.hostname}:8161`}/api/jolokia`
  return { ...broker, jolokia: `${managementIn(parsed, 'jolokia', unreadable) ?? usual}/` }
}

function unreadable(): ReplatformError {
  return new ReplatformError('secret.unresolved', {
    message: 'The address of the store is not that of an ActiveMQ broker.',
    next: 'Write it as amqps://user:password@host:5671?jolokia=https://host:8162/api/jolokia; special characters percent-encoded.',
  })
}
