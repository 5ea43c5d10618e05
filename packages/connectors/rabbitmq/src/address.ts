import { ReplatformError } from '@replatform/core/errors'
import { type BrokerUrl, managementIn, readBrokerUrl } from './broker-url.ts'

/** Where a broker is and who asks. Holds the password: never logged. */
export interface BrokerAddress extends BrokerUrl {
  readonly vhost: string
  /** Base address of the management API, without credentials: those of the broker are used. */
  readonly management: string
}

/**
 * Reads `amqp://user:password@host:port/vhost` or `amqps://…` (TLS), where an empty path is the virtual host `/`.
 * `?management=https://host:port` names the management API where it is not on the port that RabbitMQ gives it (15672,
 * with TLS 15671: Amazon MQ listens there too), `?ca=/path` an authority of one's own for both. An error never carries
 * the address, since a password is part of it.
 */
export function parseBrokerAddress(url: string): BrokerAddress {
  const { url: parsed, broker } = readBrokerUrl(url, unreadable)
  const usual = broker.tls ? `https://${parsed.hostname}:15671` : `http://${parsed.hostname}:15672`
  return {
    ...broker,
    vhost: decodeURIComponent(parsed.pathname.slice(1)) || '/',
    management: managementIn(parsed, 'management', unreadable) ?? usual,
  }
}

function unreadable(): ReplatformError {
  return new ReplatformError('secret.unresolved', {
    message: 'The address of the store is not that of a RabbitMQ broker.',
    next: 'Write it as amqps://user:password@host:port/vhost?management=https://host:port; special characters percent-encoded.',
  })
}
